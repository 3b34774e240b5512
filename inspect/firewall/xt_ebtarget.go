package firewall

// ebTarget decodes a target or watcher of ebtables; nil for one that is not
// known. Their own verdict is one of EBT_ACCEPT, EBT_DROP, EBT_CONTINUE and
// EBT_RETURN.
func (d *blob) ebTarget(name string) any {
	switch name {
	case "snat", "dnat":
		return d.ebNAT(name)
	case "mark":
		return d.ebMarkTarget()
	case "redirect":
		d.revs(0, 0)
		d.size(4)
		return &EbRedirectTarget{d.ebVerdict(d.u32(0))}
	case "arpreply":
		d.revs(0, 0)
		d.size(12)
		return &EbARPReplyTarget{mac(d.b[:6]), d.ebVerdict(d.u32(8))}
	case "log":
		return d.ebLog()
	case "nflog":
		return d.nflog()
	}
	return nil
}

// ebVerdict names a verdict: its lower 4 bits count (EBT_VERDICT_BITS), since
// flags of the target share the word.
func (d *blob) ebVerdict(n uint32) string {
	switch n | 0xfffffff0 {
	case 0xffffffff:
		return "accept"
	case 0xfffffffe:
		return "drop"
	case 0xfffffffd:
		return "continue"
	case 0xfffffffc:
		return "return"
	}
	d.bad = true
	return ""
}

// EbNATTarget is ebt_nat_info: it replaces a hardware address.
type EbNATTarget struct {
	Kind    string // "snat" or "dnat"
	MAC     string
	ARP     bool // the sender's address inside ARP is replaced too
	Verdict string
}

func (d *blob) ebNAT(kind string) any {
	d.revs(0, 0)
	d.size(12)
	t := d.u32(8)
	return &EbNATTarget{kind, mac(d.b[:6]), kind == "snat" && t&0x10 == 0, d.ebVerdict(t)}
}

// EbMarkTarget is ebt_mark_t_info: Op is "set", "or", "and" or "xor".
type EbMarkTarget struct {
	Op      string
	Mark    uint64
	Verdict string
}

func (d *blob) ebMarkTarget() any {
	d.revs(0, 0)
	d.size(12)
	t := d.u32(8)
	m := &EbMarkTarget{Mark: d.u64(0), Verdict: d.ebVerdict(t)}
	switch t & 0xfffffff0 {
	case 0xfffffff0:
		m.Op = "set"
	case 0xffffffe0:
		m.Op = "or"
	case 0xffffffd0:
		m.Op = "and"
	case 0xffffffc0:
		m.Op = "xor"
	default:
		d.bad = true
	}
	return m
}

// EbRedirectTarget is ebt_redirect_info: the frame is taken for this host.
type EbRedirectTarget struct{ Verdict string }

// EbARPReplyTarget is ebt_arpreply_info: it answers an ARP question.
type EbARPReplyTarget struct {
	MAC     string
	Verdict string
}

// EbLogTarget is ebt_log_info; the packet goes on.
type EbLogTarget struct {
	Level  uint8
	Prefix string
	// IP, ARP and IP6 log those headers; NFLog: by nflog.
	IP, ARP, NFLog, IP6 bool
}

func (d *blob) ebLog() any {
	d.revs(0, 0)
	d.size(36)
	f := d.u32(32)
	d.only(uint64(f), 15)
	return &EbLogTarget{d.u8(0), d.str(1, 30), f&1 != 0, f&2 != 0, f&4 != 0, f&8 != 0}
}
