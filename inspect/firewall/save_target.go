package firewall

import (
	"fmt"
	"net/netip"
	"strings"
)

func (t *RejectTarget) save(w *line) { w.add("--reject-with %s", t.With) }

func (t *NATTarget) save(w *line) {
	switch t.Kind {
	case "DNAT", "SNAT":
		name := "--to-destination"
		if t.Kind == "SNAT" {
			name = "--to-source"
		}
		w.add("%s %s", name, t.where(w.v6))
	case "NETMAP":
		w.add("--to %s", netmapText(t.AddrMin, t.AddrMax))
		return
	default:
		if t.HasPort {
			w.add("--to-ports %s", t.Port.span("-"))
		}
	}
	w.flag(t.Random, "--random")
	w.flag(t.FullyRandom, "--random-fully")
	w.flag(t.Persistent, "--persistent")
}

// where is the new address and port: "192.0.2.1-192.0.2.9:80-90", with
// brackets around IPv6 addresses before a port.
func (t *NATTarget) where(v6 bool) string {
	s := ""
	if t.HasAddr {
		s = t.AddrMin.String()
		if t.AddrMax != t.AddrMin {
			s += "-" + t.AddrMax.String()
		}
		if v6 && t.HasPort {
			s = "[" + s + "]"
		}
	}
	if t.HasPort {
		s += ":" + t.Port.span("-")
		if t.PortOffset {
			s += "/" + itoa(t.BasePort)
		}
	}
	return s
}

// netmapText: NETMAP keeps the network's first and last address
// (iptables: libxt_NETMAP.c, range_to_nfmask).
func netmapText(first, last netip.Addr) string {
	a, b := first.AsSlice(), last.AsSlice()
	mask := make([]byte, len(a))
	for i := range a {
		mask[i] = ^(a[i] ^ b[i])
	}
	n, ok := ones(mask)
	switch {
	case !ok:
		m, _ := netip.AddrFromSlice(mask)
		return first.String() + "/" + m.String()
	case n == len(a)*8:
		return first.String()
	}
	return fmt.Sprintf("%s/%d", first, n)
}

func (t *MarkTarget) save(w *line) { w.add("--set-xmark 0x%x/0x%x", t.Value, t.Mask) }

func (t *ConnmarkTarget) save(w *line) {
	switch t.Mode {
	case "set":
		w.add("--set-xmark 0x%x/0x%x", t.CTMark, t.CTMask)
	case "save":
		w.add("--save-mark --nfmask 0x%x --ctmask 0x%x", t.NFMask, t.CTMask)
	case "restore":
		w.add("--restore-mark --nfmask 0x%x --ctmask 0x%x", t.NFMask, t.CTMask)
	}
	if t.ShiftBits != 0 {
		dir := "left"
		if t.ShiftRight {
			dir = "right"
		}
		w.add("--%s-shift-mark %d", dir, t.ShiftBits)
	}
}

func (t *TCPMSSTarget) save(w *line) {
	if t.Clamp {
		w.add("--clamp-mss-to-pmtu")
		return
	}
	w.add("--set-mss %d", t.MSS)
}

func (t *TTLTarget) save(w *line) {
	name := "ttl"
	if w.v6 {
		name = "hl"
	}
	w.add("--%s-%s %d", name, t.Op, t.Value)
}

func (t *DSCPTarget) save(w *line) { w.add("--set-dscp 0x%02x", t.DSCP) }
func (t *TOSTarget) save(w *line)  { w.add("--set-tos 0x%02x/0x%02x", t.Value, t.Mask) }

func (t *ECNTarget) save(w *line) {
	if t.ECE && t.CWR && !t.ECEValue && !t.CWRValue {
		w.add("--ecn-tcp-remove")
	} else {
		if t.ECE {
			w.add("--ecn-tcp-ece %d", btoi(t.ECEValue))
		}
		if t.CWR {
			w.add("--ecn-tcp-cwr %d", btoi(t.CWRValue))
		}
	}
	if t.IP {
		w.add("--ecn-ip-ect %d", t.ECT)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// alias is the name that the rule was written with.
func (t *CTTarget) alias() string {
	if t.notrackAlias {
		return "NOTRACK"
	}
	return ""
}

func (t *CTTarget) save(w *line) {
	if t.notrackAlias {
		return
	}
	w.flag(t.Notrack, "--notrack")
	if t.Helper != "" {
		w.add("--helper %s", t.Helper)
	}
	if t.Timeout != "" {
		w.add("--timeout %s", t.Timeout)
	}
	if t.Events != 0 {
		w.add("--ctevents %s", eventList(t.Events, []string{"new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark"}))
	}
	if t.ExpectEvents != 0 {
		w.add("--expevents %s", eventList(t.ExpectEvents, []string{"new"}))
	}
	zone := "--zone"
	switch {
	case t.ZoneOrig:
		zone = "--zone-orig"
	case t.ZoneReply:
		zone = "--zone-reply"
	}
	if t.ZoneMark {
		w.add("%s mark", zone)
	} else if t.Zone != 0 {
		w.add("%s %d", zone, t.Zone)
	}
}

func eventList(bits uint32, names []string) string {
	list, _ := flagNames(bits, names)
	return strings.Join(list, ",")
}

func (t *TraceTarget) save(*line) {}

func (t *LogTarget) save(w *line) {
	if t.Prefix != "" {
		w.add("--log-prefix %s", quoted(t.Prefix))
	}
	if t.Level != 4 { // LOG_DEFAULT_LEVEL
		w.add("--log-level %d", t.Level)
	}
	for _, f := range t.Flags {
		w.add("--log-%s", f)
	}
}

func (t *NFLogTarget) save(w *line) {
	if t.Prefix != "" {
		w.add("--nflog-prefix %s", quoted(t.Prefix))
	}
	if t.Group != 0 {
		w.add("--nflog-group %d", t.Group)
	}
	switch {
	case t.CopyLen:
		w.add("--nflog-size %d", t.Len)
	case t.Len != 0:
		w.add("--nflog-range %d", t.Len)
	}
	if t.Threshold != 0 {
		w.add("--nflog-threshold %d", t.Threshold)
	}
}

func (t *NFQueueTarget) save(w *line) {
	if t.Total > 1 {
		w.add("--queue-balance %d:%d", t.Num, t.Num+t.Total-1)
	} else {
		w.add("--queue-num %d", t.Num)
	}
	w.flag(t.Bypass, "--queue-bypass")
	w.flag(t.Fanout, "--queue-cpu-fanout")
}

func (t *AuditTarget) save(w *line)    { w.add("--type %s", t.Type) }
func (t *ChecksumTarget) save(w *line) { w.add("--checksum-fill") }

func (t *SetTarget) save(w *line) {
	ref := func(r SetRef, name string) {
		if r.Index >= 0 {
			w.add("--%s-set %s %s", name, w.setName(r.Index), strings.Join(r.Dirs, ","))
		}
	}
	ref(t.Add, "add")
	w.flag(t.Add.Index >= 0 && t.Exist, "--exist")
	if t.Add.Index >= 0 && t.Timeout != 0xffffffff {
		w.add("--timeout %d", t.Timeout)
	}
	ref(t.Del, "del")
	ref(t.Map, "map")
	w.flag(t.MapMark, "--map-mark")
	w.flag(t.MapPrio, "--map-prio")
	w.flag(t.MapQueue, "--map-queue")
}

func (t *ClassifyTarget) save(w *line) {
	w.add("--set-class %04x:%04x", t.Priority>>16, t.Priority&0xffff)
}

func (t *TProxyTarget) save(w *line) {
	w.add("--on-port %d --on-ip %s --tproxy-mark 0x%x/0x%x", t.Port, t.Addr, t.Mark, t.MarkMask)
}

func (t *TeeTarget) save(w *line) {
	w.add("--gateway %s", t.Gateway)
	if t.Dev != "" {
		w.add("--oif %s", t.Dev)
	}
}

func (t *SynproxyTarget) save(w *line) {
	w.flag(t.SACK, "--sack-perm")
	w.flag(t.Timestamp, "--timestamp")
	if t.WScale {
		w.add("--wscale %d", t.WScaleValue)
	}
	if t.MSS {
		w.add("--mss %d", t.MSSValue)
	}
	w.flag(t.ECN, "--ecn")
}
