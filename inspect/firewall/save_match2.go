package firewall

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func itoa[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int](n T) string {
	return strconv.FormatUint(uint64(n), 10)
}

func secondsSpan(from, to time.Duration) string {
	a, b := itoa(uint64(from/time.Second)), itoa(uint64(to/time.Second))
	if a == b {
		return a
	}
	return a + ":" + b
}

func (m *SPIMatch) save(w *line) {
	name := "--espspi"
	if m.ah {
		name = "--ahspi"
	}
	if m.Min != 0 || m.Max != 0xffffffff || m.Invert {
		w.opt(m.Invert, "%s %s", name, spiSpan(m.Min, m.Max))
	}
	if m.HdrLen != 0 || m.InvHdrLen {
		w.opt(m.InvHdrLen, "--ahlen %d", m.HdrLen)
	}
	w.flag(m.Reserved, "--ahres")
}

func spiSpan(a, b uint32) string {
	if a == b {
		return itoa(a)
	}
	return itoa(a) + ":" + itoa(b)
}

func (m *MarkMatch) save(w *line)     { w.opt(m.Invert, "--mark %s", valueMask(m.Mark, m.Mask)) }
func (m *ConnmarkMatch) save(w *line) { (*MarkMatch)(m).save(w) }

func (m *ConnbytesMatch) save(w *line) {
	to := ""
	if m.To != 1<<64-1 {
		to = ":" + itoa(m.To)
	}
	w.opt(m.Invert, "--connbytes %d%s --connbytes-mode %s --connbytes-dir %s", m.From, to, m.What, m.Direction)
}

func (m *ConnlimitMatch) save(w *line) {
	what, dir := "above", "saddr"
	if m.Invert {
		what = "upto"
	}
	if m.Dst {
		dir = "daddr"
	}
	w.add("--connlimit-%s %d --connlimit-mask %d --connlimit-%s", what, m.Limit, cidr(m.Mask), dir)
}

func (m *ConnlabelMatch) save(w *line) {
	w.opt(m.Invert, "--label %d", m.Bit)
	w.flag(m.Set, "--set")
}

func (m *HelperMatch) save(w *line) { w.opt(m.Invert, "--helper %s", quoted(m.Name)) }

func (m *LengthMatch) save(w *line) {
	w.opt(m.Invert, "--length %s", PortRange{m.Min, m.Max}.span(":"))
}

func (m *TTLMatch) save(w *line) {
	name := "ttl"
	if w.v6 {
		name = "hl"
	}
	if m.Op == "ne" {
		w.opt(true, "--%s-eq %d", name, m.Value)
		return
	}
	w.add("--%s-%s %d", name, m.Op, m.Value)
}

func (m *DSCPMatch) save(w *line) { w.opt(m.Invert, "--dscp 0x%02x", m.DSCP) }
func (m *TOSMatch) save(w *line)  { w.opt(m.Invert, "--tos 0x%02x/0x%02x", m.Value, m.Mask) }

func (m *ECNMatch) save(w *line) {
	if m.HasECE {
		w.opt(m.InvECE, "--ecn-tcp-ece")
	}
	if m.HasCWR {
		w.opt(m.InvCWR, "--ecn-tcp-cwr")
	}
	if m.HasIP {
		w.opt(m.InvIP, "--ecn-ip-ect %d", m.ECT)
	}
}

func (m *CommentMatch) save(w *line) { w.add("--comment %s", quoted(m.Text)) }

func (m *OwnerMatch) save(w *line) {
	if m.HasSocket {
		w.opt(m.InvSocket, "--socket-exists")
	}
	if m.HasUID {
		w.opt(m.InvUID, "--uid-owner %s", strings.Replace(spiSpan(m.UIDMin, m.UIDMax), ":", "-", 1))
	}
	if m.HasGID {
		w.opt(m.InvGID, "--gid-owner %s", strings.Replace(spiSpan(m.GIDMin, m.GIDMax), ":", "-", 1))
	}
	w.flag(m.SupplGroups, "--suppl-groups")
}

func (m *CgroupMatch) save(w *line) {
	if m.HasClassID {
		w.opt(m.Invert, "--cgroup %d", m.ClassID)
		return
	}
	w.opt(m.Invert, "--path %s", quoted(m.Path))
}

func (m *CPUMatch) save(w *line) { w.opt(m.Invert, "--cpu %d", m.CPU) }

func (m *SocketMatch) save(w *line) {
	w.flag(m.Transparent, "--transparent")
	w.flag(m.NoWildcard, "--nowildcard")
	w.flag(m.RestoreMark, "--restore-skmark")
}

func (m *StringMatch) save(w *line) {
	hex := len(m.Pattern) > 0 && m.Pattern[len(m.Pattern)-1] == '\\'
	for _, c := range m.Pattern {
		hex = hex || c < 0x20 || c > 0x7e
	}
	if hex {
		w.opt(m.Invert, "--hex-string \"|%x|\"", m.Pattern)
	} else {
		s := strings.NewReplacer(`"`, `\"`).Replace(string(m.Pattern))
		w.opt(m.Invert, "--string \"%s\"", s)
	}
	w.add("--algo %s", m.Algo)
	if m.From != 0 {
		w.add("--from %d", m.From)
	}
	if m.To != 0 && m.To != 0xffff {
		w.add("--to %d", m.To)
	}
	w.flag(m.IgnoreCase, "--icase")
}

func (m *U32Match) save(w *line) {
	var b strings.Builder
	for i, t := range m.Tests {
		if i > 0 {
			b.WriteString("&&")
		}
		for j, s := range t.Steps {
			if j > 0 {
				b.WriteString(s.Op)
			}
			fmt.Fprintf(&b, "0x%x", s.Number)
		}
		for j, r := range t.Ranges {
			if j == 0 {
				b.WriteByte('=')
			} else {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "0x%x", r.Min)
			if r.Max != r.Min {
				fmt.Fprintf(&b, ":0x%x", r.Max)
			}
		}
	}
	w.opt(m.Invert, "--u32 \"%s\"", b.String())
}

func (m *BPFMatch) save(w *line) {
	switch {
	case m.Opaque:
		w.add("[program given by a file descriptor]")
		return
	case m.Path != "":
		w.add("--object-pinned %s", m.Path)
		return
	}
	list := []string{itoa(len(m.Program))}
	for _, i := range m.Program {
		list = append(list, fmt.Sprintf("%d %d %d %d", i.Op, i.Jt, i.Jf, i.K))
	}
	w.add("--bytecode \"%s\"", strings.Join(list, ","))
}

// rateText is a rate of one in period, in 1/scale s, and the unit that limit writes it in
// (iptables: libxt_limit.c, print_rate).
func rateText(period, scale uint64) (text string, unit time.Duration) {
	units := []struct {
		name string
		unit time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"min", time.Minute}, {"sec", time.Second}}
	if period == 0 {
		return "inf", time.Second
	}
	i := 1
	for ; i < len(units); i++ {
		mult := uint64(units[i].unit/time.Second) * scale
		if period > mult || mult/period < mult%period {
			break
		}
	}
	u := units[i-1]
	return fmt.Sprintf("%d/%s", uint64(u.unit/time.Second)*scale/period, u.name), u.unit
}

func (m *LimitMatch) save(w *line) {
	text, _ := rateText(uint64(m.Avg), limitScale)
	w.add("--limit %s", text)
	if m.Burst != 5 { // XT_LIMIT_BURST
		w.add("--limit-burst %d", m.Burst)
	}
}

func (m *HashlimitMatch) save(w *line) {
	what := "upto"
	if m.Invert {
		what = "above"
	}
	var expire time.Duration
	if m.Bytes {
		expire = 15 * time.Second // XT_HASHLIMIT_BYTE_EXPIRE
		w.add("--hashlimit-%s %s", what, m.byteRate())
	} else {
		var text string
		text, expire = rateText(m.Avg, m.Scale)
		w.add("--hashlimit-%s %s --hashlimit-burst %d", what, text, m.Burst)
	}
	if m.Keys != nil {
		var list []string
		for _, k := range []string{"srcip", "srcport", "dstip", "dstport"} {
			for _, have := range m.Keys {
				if have == k {
					list = append(list, k)
				}
			}
		}
		w.add("--hashlimit-mode %s", strings.Join(list, ","))
	}
	w.add("--hashlimit-name %s", m.Name)
	if m.Size != 0 {
		w.add("--hashlimit-htable-size %d", m.Size)
	}
	if m.Max != 0 {
		w.add("--hashlimit-htable-max %d", m.Max)
	}
	if m.GCInterval != time.Second {
		w.add("--hashlimit-htable-gcinterval %d", m.GCInterval.Milliseconds())
	}
	if m.Expire != expire {
		w.add("--hashlimit-htable-expire %d", m.Expire.Milliseconds())
	}
	whole := uint8(32)
	if w.v6 {
		whole = 128
	}
	if m.SrcMask != whole {
		w.add("--hashlimit-srcmask %d", m.SrcMask)
	}
	if m.DstMask != whole {
		w.add("--hashlimit-dstmask %d", m.DstMask)
	}
	w.flag(m.RateMatch, "--hashlimit-rate-match")
	if m.RateMatch && m.Interval != time.Second {
		w.add("--hashlimit-rate-interval %d", int(m.Interval/time.Second))
	}
}

// byteRate is a rate in bytes: Avg counts seconds for 16 bytes, in 1/2^32 s
// (iptables: libxt_hashlimit.c, cost_to_bytes).
func (m *HashlimitMatch) byteRate() string {
	r := uint64(1<<32 - 1)
	if m.Avg != 0 {
		r = (1<<32 - 1) / m.Avg
	}
	r = r << 4
	unit := "b"
	for _, u := range []struct {
		name string
		size uint64
	}{{"mb", 1 << 20}, {"kb", 1 << 10}} {
		if r > u.size {
			r, unit = r/u.size, u.name
			break
		}
	}
	return fmt.Sprintf("%d%s/s", r, unit)
}

func (m *RecentMatch) save(w *line) {
	if m.Invert {
		w.WriteString(" !")
	}
	w.flag(m.Set, "--set")
	w.flag(m.Check, "--rcheck")
	w.flag(m.Update, "--update")
	w.flag(m.Remove, "--remove")
	if m.Seconds != 0 {
		w.add("--seconds %d", m.Seconds)
	}
	w.flag(m.Reap, "--reap")
	if m.HitCount != 0 {
		w.add("--hitcount %d", m.HitCount)
	}
	w.flag(m.TTL, "--rttl")
	w.add("--name %s", m.Name)
	if m.Mask.IsValid() {
		w.add("--mask %s", m.Mask)
	}
	if m.Dst {
		w.add("--rdest")
	} else {
		w.add("--rsource")
	}
}

func (m *QuotaMatch) save(w *line) { w.opt(m.Invert, "--quota %d", m.Bytes) }

func (m *StatisticMatch) save(w *line) {
	if m.Random {
		w.add("--mode random")
		w.opt(m.Invert, "--probability %.11f", m.Chance())
		return
	}
	w.add("--mode nth")
	w.opt(m.Invert, "--every %d --packet %d", m.Every, m.Packet)
}

func (m *NFAcctMatch) save(w *line) { w.add("--nfacct-name %s", m.Name) }

func (m *ClusterMatch) save(w *line) {
	w.opt(m.Invert, "--cluster-local-nodemask 0x%08x", m.NodeMask)
	w.add("--cluster-total-nodes %d --cluster-hash-seed 0x%08x", m.Total, m.Seed)
}
