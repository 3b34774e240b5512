package firewall

import (
	"fmt"
	"strings"
	"time"
)

func (m *TimeMatch) save(w *line) {
	clock := func(d time.Duration) string {
		s := int(d / time.Second)
		return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	if m.DayStart != 0 || m.DayStop != 24*time.Hour-time.Second {
		w.add("--timestart %s --timestop %s", clock(m.DayStart), clock(m.DayStop))
	}
	if m.MonthDays != 0xfffffffe {
		w.add("--monthdays %s", dayList(m.MonthDays, 31, itoa[int]))
	}
	if m.WeekDays != 0xfe {
		names := []string{"", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
		w.add("--weekdays %s", dayList(uint32(m.WeekDays), 7, func(i int) string { return names[i] }))
	}
	const layout = "2006-01-02T15:04:05"
	if m.DateStart.Unix() != 0 {
		w.add("--datestart %s", m.DateStart.Format(layout))
	}
	if m.DateStop.Unix() != 0 { // 2038 when it was not given
		w.add("--datestop %s", m.DateStop.Format(layout))
	}
	w.flag(m.LocalTime, "--kerneltz")
	w.flag(m.Contiguous, "--contiguous")
}

func dayList(bits uint32, last int, name func(int) string) string {
	var list []string
	for i := 1; i <= last; i++ {
		if bits&(1<<i) != 0 {
			list = append(list, name(i))
		}
	}
	return strings.Join(list, ",")
}

func (m *PolicyMatch) save(w *line) {
	pol := "ipsec"
	if m.None {
		pol = "none"
	}
	w.add("--dir %s --pol %s", m.Dir, pol)
	w.flag(m.Strict, "--strict")
	for i, e := range m.Elements {
		if i > 0 {
			w.add("--next")
		}
		if e.HasReqID {
			w.opt(e.InvReqID, "--reqid %d", e.ReqID)
		}
		if e.HasSPI {
			w.opt(e.InvSPI, "--spi 0x%x", e.SPI)
		}
		if e.HasProto {
			w.opt(e.InvProto, "--proto %s", protoName(uint16(e.Proto)))
		}
		if e.HasMode {
			w.opt(e.InvMode, "--mode %s", e.Mode)
		}
		if e.HasDst {
			w.opt(e.InvDst, "--tunnel-dst %s", maskedText(e.Dst))
		}
		if e.HasSrc {
			w.opt(e.InvSrc, "--tunnel-src %s", maskedText(e.Src))
		}
	}
}

func (m *IPVSMatch) save(w *line) {
	inv := func(bit uint8) bool { return m.Invert&bit != 0 }
	if m.Test == 1 {
		w.opt(inv(1), "--ipvs")
	}
	if m.Test&2 != 0 {
		w.opt(inv(2), "--vproto %d", m.Proto)
	}
	if m.Test&4 != 0 {
		w.opt(inv(4), "--vaddr %s", maskedText(m.Addr))
	}
	if m.Test&8 != 0 {
		w.opt(inv(8), "--vport %d", m.Port)
	}
	if m.Test&16 != 0 {
		dir := "ORIGINAL"
		if inv(16) {
			dir = "REPLY"
		}
		w.add("--vdir %s", dir)
	}
	if m.Test&32 != 0 {
		method := itoa(m.Method)
		switch m.Method { // IP_VS_CONN_F_*
		case 0:
			method = "MASQ"
		case 2:
			method = "IPIP"
		case 3:
			method = "GATE"
		}
		w.opt(inv(32), "--vmethod %s", method)
	}
	if m.Test&64 != 0 {
		w.opt(inv(64), "--vportctl %d", m.ControlPort)
	}
}
