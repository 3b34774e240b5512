package firewall

import (
	"slices"
	"strings"
)

func (m *TCPMatch) save(w *line) {
	savePorts(w, m.Src, m.Dst, m.InvSrc, m.InvDst)
	if m.Option != 0 || m.InvOption {
		w.opt(m.InvOption, "--tcp-option %d", m.Option)
	}
	if m.FlagMask != 0 || m.InvFlags {
		w.opt(m.InvFlags, "--tcp-flags %s %s", tcpFlags(m.FlagMask), tcpFlags(m.FlagCmp))
	}
}

func savePorts(w *line, src, dst PortRange, invSrc, invDst bool) {
	if !src.all() || invSrc {
		w.opt(invSrc, "--sport %s", src.span(":"))
	}
	if !dst.all() || invDst {
		w.opt(invDst, "--dport %s", dst.span(":"))
	}
}

// tcpFlags lists TCP flags, "NONE" for none.
func tcpFlags(f uint8) string {
	list, _ := flagNames(uint32(f), []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"})
	if list == nil {
		return "NONE"
	}
	return strings.Join(list, ",")
}

func (m *UDPMatch) save(w *line) { savePorts(w, m.Src, m.Dst, m.InvSrc, m.InvDst) }

func (m *SCTPMatch) save(w *line) {
	if m.HasSrc {
		w.opt(m.InvSrc, "--sport %s", m.Src.span(":"))
	}
	if m.HasDst {
		w.opt(m.InvDst, "--dport %s", m.Dst.span(":"))
	}
	if m.Chunks == "" {
		return
	}
	names := []string{
		"DATA", "INIT", "INIT_ACK", "SACK", "HEARTBEAT", "HEARTBEAT_ACK", "ABORT", "SHUTDOWN", "SHUTDOWN_ACK", "ERROR",
		"COOKIE_ECHO", "COOKIE_ACK", "ECN_ECNE", "ECN_CWR", "SHUTDOWN_COMPLETE",
	}
	var list []string
	all := true
	for t, on := range m.ChunkMap {
		switch {
		case !on:
			all = false
		case t < len(names):
			list = append(list, names[t]+m.chunkFlags(uint8(t)))
		}
	}
	if all {
		list = []string{"ALL"}
	}
	if list == nil {
		list = []string{"NONE"}
	}
	w.opt(m.InvChunks, "--chunk-types %s %s", m.Chunks, strings.Join(list, ","))
}

// chunkFlags is ":" and letters for the flags of a chunk type: upper case set,
// lower case not set (iptables: libxt_sctp.c, sctp_chunk_names).
func (m *SCTPMatch) chunkFlags(t uint8) string {
	letters := ""
	switch t {
	case 0:
		letters = "----IUBE"
	case 6, 14:
		letters = "-------T"
	}
	for _, f := range m.ChunkFlags {
		if f.Type != t || letters == "" {
			continue
		}
		s := ":"
		for bit := 7; bit >= 0; bit-- {
			if f.Mask&(1<<bit) == 0 {
				continue
			}
			c := letters[7-bit : 8-bit]
			if f.Flag&(1<<bit) == 0 {
				c = strings.ToLower(c)
			}
			s += c
		}
		return s
	}
	return ""
}

func (m *DCCPMatch) save(w *line) {
	if m.HasSrc {
		w.opt(m.InvSrc, "--sport %s", m.Src.span(":"))
	}
	if m.HasDst {
		w.opt(m.InvDst, "--dport %s", m.Dst.span(":"))
	}
	if m.HasTypes {
		list, _ := flagNames(uint32(m.Types), []string{"REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"})
		w.opt(m.InvTypes, "--dccp-types %s", strings.Join(list, ","))
	}
	if m.HasOption {
		w.opt(m.InvOption, "--dccp-option %d", m.Option)
	}
}

func (m *ICMPMatch) save(w *line) {
	name := "--icmp-type"
	if m.V6 {
		name = "--icmpv6-type"
	}
	switch {
	case m.Any():
		w.opt(m.Invert, "%s any", name)
	case m.CodeMin == 0 && m.CodeMax == 0xff:
		w.opt(m.Invert, "%s %d", name, m.Type)
	case m.CodeMin == m.CodeMax:
		w.opt(m.Invert, "%s %d/%d", name, m.Type, m.CodeMin)
	default:
		w.opt(m.Invert, "%s %d/%d-%d", name, m.Type, m.CodeMin, m.CodeMax)
	}
}

func (m *MultiportMatch) save(w *line) {
	name := map[string]string{"source": "--sports", "destination": "--dports", "either": "--ports"}[m.Side]
	var list []string
	for _, p := range m.Ports {
		list = append(list, p.span(":"))
	}
	w.opt(m.Invert, "%s %s", name, strings.Join(list, ","))
}

func (m *TCPMSSMatch) save(w *line) { w.opt(m.Invert, "--mss %s", PortRange{m.Min, m.Max}.span(":")) }

func (m *AddrTypeMatch) save(w *line) {
	if m.Src != nil {
		w.opt(m.InvSrc, "--src-type %s", strings.Join(m.Src, ","))
	}
	if m.Dst != nil {
		w.opt(m.InvDst, "--dst-type %s", strings.Join(m.Dst, ","))
	}
	w.flag(m.LimitIn, "--limit-iface-in")
	w.flag(m.LimitOut, "--limit-iface-out")
}

func (m *IPRangeMatch) save(w *line) {
	if m.HasSrc {
		w.opt(m.InvSrc, "--src-range %s-%s", m.SrcMin, m.SrcMax)
	}
	if m.HasDst {
		w.opt(m.InvDst, "--dst-range %s-%s", m.DstMin, m.DstMax)
	}
}

func (m *SetMatch) save(w *line) {
	w.opt(m.Invert, "--match-set %s %s", w.setName(m.Index), strings.Join(m.Dirs, ","))
	w.flag(m.ReturnNoMatch, "--return-nomatch")
	if m.NoUpdate {
		w.opt(true, "--update-counters")
	}
	if m.NoSubUpdate {
		w.opt(true, "--update-subcounters")
	}
	m.Packets.save(w, "packets")
	m.Bytes.save(w, "bytes")
}

func (c SetCounter) save(w *line, name string) {
	switch c.Op {
	case "==":
		w.add("--%s-eq %d", name, c.Value)
	case "!=":
		w.opt(true, "--%s-eq %d", name, c.Value)
	case "<":
		w.add("--%s-lt %d", name, c.Value)
	case ">":
		w.add("--%s-gt %d", name, c.Value)
	}
}

func (m *RPFilterMatch) save(w *line) {
	w.flag(m.Loose, "--loose")
	w.flag(m.ValidMark, "--validmark")
	w.flag(m.AcceptLocal, "--accept-local")
	w.flag(m.Invert, "--invert")
}

func (m *RealmMatch) save(w *line) { w.opt(m.Invert, "--realm %s", valueMask(m.ID, m.Mask)) }

func (m *MACMatch) save(w *line) { w.opt(m.Invert, "--mac-source %s", m.Addr) }

func (m *PhysdevMatch) save(w *line) {
	if m.IsIn {
		w.opt(m.InvIsIn, "--physdev-is-in")
	}
	if m.In != "" {
		w.opt(m.InvIn, "--physdev-in %s", m.In)
	}
	if m.IsOut {
		w.opt(m.InvIsOut, "--physdev-is-out")
	}
	if m.Out != "" {
		w.opt(m.InvOut, "--physdev-out %s", m.Out)
	}
	if m.IsBridged {
		w.opt(m.InvIsBridged, "--physdev-is-bridged")
	}
}

func (m *PktTypeMatch) save(w *line) { w.opt(m.Invert, "--pkt-type %s", m.Type) }

func (m *DevGroupMatch) save(w *line) {
	if m.HasSrc {
		w.opt(m.InvSrc, "--src-group %s", valueMask(m.Src, m.SrcMask))
	}
	if m.HasDst {
		w.opt(m.InvDst, "--dst-group %s", valueMask(m.Dst, m.DstMask))
	}
}

// stateText lists states in the order that iptables prints them.
func stateText(states []string) string {
	var list []string
	for _, s := range []string{"INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"} {
		if slices.Contains(states, s) {
			list = append(list, s)
		}
	}
	return strings.Join(list, ",")
}

func (m *StateMatch) save(w *line) { w.add("--state %s", stateText(m.States)) }

// alias is the name that the rule was written with.
func (m *ConntrackMatch) alias() string {
	if m.stateAlias {
		return "state"
	}
	return ""
}

func (m *ConntrackMatch) save(w *line) {
	test := func(t ConntrackTest, name, value string) {
		if m.Has(t) {
			w.opt(m.Inverted(t), "--%s %s", name, value)
		}
	}
	state := "ctstate"
	if m.stateAlias {
		state = "state"
	}
	test(CTState, state, stateText(m.States))
	test(CTProto, "ctproto", itoa(m.Proto))
	test(CTOrigSrc, "ctorigsrc", maskedText(m.OrigSrc))
	test(CTOrigDst, "ctorigdst", maskedText(m.OrigDst))
	test(CTReplSrc, "ctreplsrc", maskedText(m.ReplSrc))
	test(CTReplDst, "ctrepldst", maskedText(m.ReplDst))
	test(CTOrigSrcPort, "ctorigsrcport", m.OrigSrcPort.span(":"))
	test(CTOrigDstPort, "ctorigdstport", m.OrigDstPort.span(":"))
	test(CTReplSrcPort, "ctreplsrcport", m.ReplSrcPort.span(":"))
	test(CTReplDstPort, "ctrepldstport", m.ReplDstPort.span(":"))
	status := "NONE"
	if m.Status != nil {
		status = strings.Join(m.Status, ",")
	}
	test(CTStatus, "ctstatus", status)
	test(CTExpires, "ctexpire", secondsSpan(m.ExpiresMin, m.ExpiresMax))
	if m.Has(CTDirection) {
		dir := "ORIGINAL"
		if m.Inverted(CTDirection) {
			dir = "REPLY"
		}
		w.add("--ctdir %s", dir)
	}
}
