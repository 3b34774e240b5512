package firewall

import (
	"fmt"
	"strings"
)

func (m *EbIPMatch) saveEb(w *line) {
	p, tos, icmp := "--ip-", "tos", "icmp-type"
	if m.V6 {
		p, tos, icmp = "--ip6-", "tclass", "icmp-type"
	}
	if m.HasSrc {
		w.ebOpt(m.InvSrc, p+"src", maskedText(m.Src))
	}
	if m.HasDst {
		w.ebOpt(m.InvDst, p+"dst", maskedText(m.Dst))
	}
	if m.HasTOS {
		w.ebOpt(m.InvTOS, p+tos, fmt.Sprintf("0x%02X", m.TOS))
	}
	if m.HasProto {
		w.ebOpt(m.InvProto, p+"proto", protoName(uint16(m.Proto)))
	}
	if m.HasSport {
		w.ebOpt(m.InvSport, p+"sport", m.Sport.span(":"))
	}
	if m.HasDport {
		w.ebOpt(m.InvDport, p+"dport", m.Dport.span(":"))
	}
	if m.HasICMP {
		w.ebOpt(m.InvICMP, p+icmp, m.types())
	}
	if m.HasIGMP {
		w.ebOpt(m.InvIGMP, p+"igmp-type", m.types())
	}
}

// types writes types and codes: "8", "3/4", "0:5/0:3".
func (m *EbIPMatch) types() string {
	typ := uint32(typeICMPType)
	if m.V6 {
		typ = typeICMP6Type
	}
	if name, ok := symbols(typ)[uint64(m.TypeMin)]; ok && m.HasICMP && m.TypeMin == m.TypeMax && m.CodeMin == 0 && m.CodeMax == 0xff {
		return name
	}
	text := PortRange{uint16(m.TypeMin), uint16(m.TypeMax)}.span(":")
	if m.HasICMP && (m.CodeMin != 0 || m.CodeMax != 0xff) {
		text += "/" + PortRange{uint16(m.CodeMin), uint16(m.CodeMax)}.span(":")
	}
	return text
}

func (m *EbARPMatch) saveEb(w *line) {
	if m.HasOpcode {
		names := []string{"", "Request", "Reply", "Request_Reverse", "Reply_Reverse", "DRARP_Request", "DRARP_Reply", "DRARP_Error", "InARP_Request", "ARP_NAK"}
		name := itoa(m.Opcode)
		if m.Opcode > 0 && int(m.Opcode) < len(names) {
			name = names[m.Opcode]
		}
		w.ebOpt(m.InvOpcode, "--arp-op", name)
	}
	if m.HasHType {
		w.ebOpt(m.InvHType, "--arp-htype", itoa(m.HType))
	}
	if m.HasPType {
		w.ebOpt(m.InvPType, "--arp-ptype", fmt.Sprintf("0x%x", m.PType))
	}
	if m.HasSrcIP {
		w.ebOpt(m.InvSrcIP, "--arp-ip-src", maskedText(m.SrcIP))
	}
	if m.HasDstIP {
		w.ebOpt(m.InvDstIP, "--arp-ip-dst", maskedText(m.DstIP))
	}
	if m.HasSrcMAC {
		w.ebOpt(m.InvSrcMAC, "--arp-mac-src", ebMAC(m.SrcMAC, m.SrcMACMask))
	}
	if m.HasDstMAC {
		w.ebOpt(m.InvDstMAC, "--arp-mac-dst", ebMAC(m.DstMAC, m.DstMACMask))
	}
	if m.Gratuitous {
		w.opt(m.InvGratuitous, "--arp-gratuitous")
	}
}

func (m *EbVLANMatch) saveEb(w *line) {
	if m.HasID {
		w.ebOpt(m.InvID, "--vlan-id", itoa(m.ID))
	}
	if m.HasPrio {
		w.ebOpt(m.InvPrio, "--vlan-prio", itoa(m.Prio))
	}
	if m.HasEncap {
		w.ebOpt(m.InvEncap, "--vlan-encap", fmt.Sprintf("%04X", m.Encap))
	}
}

func (m *EbMarkMatch) saveEb(w *line) {
	value := fmt.Sprintf("0x%x", m.Mark)
	switch {
	case m.Or:
		value = fmt.Sprintf("/0x%x", m.Mask)
	case m.Mask != 0xffffffff && m.Mask != 1<<64-1:
		value = fmt.Sprintf("0x%x/0x%x", m.Mark, m.Mask)
	}
	w.ebOpt(m.Invert, "--mark", value)
}

func (m *Eb8023Match) saveEb(w *line) {
	if m.HasSAP {
		w.ebOpt(m.InvSAP, "--802_3-sap", fmt.Sprintf("0x%.2x", m.SAP))
	}
	if m.HasType {
		w.ebOpt(m.InvType, "--802_3-type", fmt.Sprintf("0x%.4x", m.Type))
	}
}

func (m *PktTypeMatch) saveEb(w *line) {
	name := m.Type
	if name == "unicast" {
		name = "host"
	}
	w.ebOpt(m.Invert, "--pkttype-type", name)
}

func (t *EbNATTarget) saveEb(w *line) {
	p := "--to-dst"
	if t.Kind == "snat" {
		p = "--to-src"
	}
	w.add("%s %s", p, t.MAC)
	w.flag(t.ARP, "--snat-arp")
	w.add("--%s-target %s", t.Kind, strings.ToUpper(t.Verdict))
}

func (t *EbMarkTarget) saveEb(w *line) {
	w.add("--mark-%s 0x%x --mark-target %s", t.Op, t.Mark, strings.ToUpper(t.Verdict))
}

func (t *EbRedirectTarget) saveEb(w *line) {
	if t.Verdict != "accept" {
		w.add("--redirect-target %s", strings.ToUpper(t.Verdict))
	}
}

func (t *EbARPReplyTarget) saveEb(w *line) {
	w.add("--arpreply-mac %s", t.MAC)
	if t.Verdict != "drop" {
		w.add("--arpreply-target %s", strings.ToUpper(t.Verdict))
	}
}

func (t *EbLogTarget) saveEb(w *line) {
	if t.NFLog {
		w.add("--nflog")
	}
	levels := []string{"emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"}
	level := itoa(t.Level)
	if int(t.Level) < len(levels) {
		level = levels[t.Level]
	}
	w.add("--log-level %s", level)
	if t.Prefix != "" {
		w.add(`--log-prefix "%s"`, t.Prefix)
	}
	w.flag(t.IP, "--log-ip")
	w.flag(t.ARP, "--log-arp")
	w.flag(t.IP6, "--log-ip6")
}

func (t *NFLogTarget) saveEb(w *line) {
	if t.Prefix != "" {
		w.add(`--nflog-prefix "%s"`, t.Prefix)
	}
	w.add("--nflog-group %d", t.Group)
	if t.Len != 0 {
		w.add("--nflog-range %d", t.Len)
	}
	if t.Threshold != 1 {
		w.add("--nflog-threshold %d", t.Threshold)
	}
}
