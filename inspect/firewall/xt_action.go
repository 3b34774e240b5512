package firewall

import "net/netip"

// TCPMSSTarget is xt_tcpmss_info. Clamp: to the path MTU.
type TCPMSSTarget struct {
	MSS   uint16
	Clamp bool
}

func (d *blob) tcpmssTarget() any {
	d.revs(0, 0)
	d.size(2)
	return &TCPMSSTarget{d.u16(0), d.u16(0) == 0xffff}
}

// TTLTarget is ipt_TTL_info and ip6t_HL_info: Op is "set", "inc" or "dec".
type TTLTarget struct {
	Op    string
	Value uint8
}

func (d *blob) ttlTarget() any {
	d.revs(0, 0)
	d.size(2)
	return &TTLTarget{d.one(uint32(d.u8(0)), "set", "inc", "dec"), d.u8(1)}
}

// DSCPTarget is xt_DSCP_info.
type DSCPTarget struct{ DSCP uint8 }

func (d *blob) dscpTarget() any {
	d.revs(0, 0)
	d.size(1)
	return &DSCPTarget{d.u8(0)}
}

// TOSTarget is xt_tos_target_info: TOS = (TOS &^ Mask) ^ Value.
type TOSTarget struct{ Value, Mask uint8 }

func (d *blob) tosTarget() any {
	d.revs(1, 1)
	d.size(2)
	return &TOSTarget{d.u8(0), d.u8(1)}
}

// ECNTarget is ipt_ECN_info: it clears or sets the ECN bits of the IP header
// (IP, to ECT) and of TCP (ECE, CWR).
type ECNTarget struct {
	IP, ECE, CWR       bool
	ECT                uint8
	ECEValue, CWRValue bool
}

func (d *blob) ecnTarget() any {
	d.revs(0, 0)
	d.size(3)
	op := d.u8(0)
	d.only(uint64(op), 0x31)
	return &ECNTarget{op&1 != 0, op&0x10 != 0, op&0x20 != 0, d.u8(1), d.u8(2)&1 != 0, d.u8(2)&2 != 0}
}

// LogTarget is xt_log_info. Flags are of "tcp-sequence", "tcp-options",
// "ip-options", "uid", "macdecode".
type LogTarget struct {
	Level  uint8
	Flags  []string
	Prefix string
}

func (d *blob) log() any {
	d.revs(0, 0)
	d.size(32)
	return &LogTarget{d.u8(0), d.names(uint32(d.u8(1)), []string{"tcp-sequence", "tcp-options", "ip-options", "uid", "", "macdecode"}), d.str(2, 30)}
}

// NFLogTarget is xt_nflog_info and ebt_nflog_info.
type NFLogTarget struct {
	Len              uint32 // bytes to copy
	CopyLen          bool   // Len counts (XT_NFLOG_F_COPY_LEN); before, 0 or --nflog-range
	Group, Threshold uint16
	Prefix           string
}

func (d *blob) nflog() any {
	d.revs(0, 0)
	d.size(76)
	d.only(uint64(d.u16(8)), 1)
	return &NFLogTarget{d.u32(0), d.u16(8)&1 != 0, d.u16(4), d.u16(6), d.str(12, 64)}
}

// NFQueueTarget is xt_NFQ_info, revisions 0 to 3. Total is the number of
// queues from Num on.
type NFQueueTarget struct {
	Num, Total     uint16
	Bypass, Fanout bool
}

func (d *blob) nfqueue() any {
	d.revs(0, 3)
	t := &NFQueueTarget{Total: 1}
	d.size([]int{2, 4, 6, 6}[min(d.rev, 3)])
	t.Num = d.u16(0)
	if d.rev >= 1 {
		t.Total = d.u16(2)
	}
	switch d.rev {
	case 2:
		t.Bypass = d.u16(4) != 0
	case 3:
		d.only(uint64(d.u16(4)), 3)
		t.Bypass, t.Fanout = d.u16(4)&1 != 0, d.u16(4)&2 != 0
	}
	return t
}

// AuditTarget is xt_audit_info: Type is "accept", "drop" or "reject"; it only
// says what is logged.
type AuditTarget struct{ Type string }

func (d *blob) audit() any {
	d.revs(0, 1)
	d.size(1)
	return &AuditTarget{d.one(uint32(d.u8(0)), "accept", "drop", "reject")}
}

// ChecksumTarget is xt_CHECKSUM_info: it fills in a missing checksum.
type ChecksumTarget struct{}

func (d *blob) checksum() any {
	d.revs(0, 0)
	d.size(1)
	if d.u8(0) != 1 {
		d.bad = true
	}
	return &ChecksumTarget{}
}

// SetTarget is xt_set_info_target_v0 to v3.
type SetTarget struct {
	Add, Del, Map SetRef
	Timeout       uint32 // seconds of what is added; 0xffffffff the set's own
	Exist         bool
	// MapMark, MapPrio, MapQueue: the packet takes them from the entry.
	MapMark, MapPrio, MapQueue bool
}

// SetRef names a set by snap.IPSet.Index, -1 none, and the directions of its
// dimensions.
type SetRef struct {
	Index int
	Dirs  []string
}

// setNone is IPSET_INVALID_ID.
const setNone = 65535

func (d *blob) setTarget() any {
	d.revs(0, 3)
	t := &SetTarget{Map: SetRef{Index: -1}, Timeout: 0xffffffff}
	ref := func(i int, dirs []string, _ bool) SetRef {
		if i == setNone {
			return SetRef{Index: -1}
		}
		return SetRef{i, dirs}
	}
	flags := uint32(0)
	switch d.rev {
	case 0:
		d.size(64)
		t.Add, t.Del = ref(d.setInfo0(0)), ref(d.setInfo0(32))
		return t
	case 1:
		d.size(8)
	case 2:
		d.size(16)
		flags, t.Timeout = d.u32(8), d.u32(12)
	default:
		d.size(20)
		t.Map = ref(d.setInfo(8))
		flags, t.Timeout = d.u32(12), d.u32(16)
	}
	t.Add, t.Del = ref(d.setInfo(0)), ref(d.setInfo(4))
	t.Exist = flags&1 != 0
	t.MapMark, t.MapPrio, t.MapQueue = flags&(1<<8) != 0, flags&(1<<9) != 0, flags&(1<<10) != 0
	return t
}

// ClassifyTarget is xt_classify_target_info.
type ClassifyTarget struct{ Priority uint32 }

func (d *blob) classify() any {
	d.revs(0, 0)
	d.size(4)
	return &ClassifyTarget{d.u32(0)}
}

// TProxyTarget is xt_tproxy_target_info and _v1: mark = (mark &^ MarkMask) ^
// Mark. Addr zero and Port 0 keep the packet's.
type TProxyTarget struct {
	Mark, MarkMask uint32
	Addr           netip.Addr
	Port           uint16
}

func (d *blob) tproxy() any {
	d.revs(0, 1)
	if d.rev == 0 {
		d.size(14)
		return &TProxyTarget{d.u32(4), d.u32(0), d.ip(8), d.be16(12)}
	}
	d.size(26)
	return &TProxyTarget{d.u32(4), d.u32(0), d.inet(8), d.be16(24)}
}

// TeeTarget is xt_tee_tginfo: a copy goes to Gateway, out of Dev when given.
type TeeTarget struct {
	Gateway netip.Addr
	Dev     string
}

func (d *blob) tee() any {
	d.revs(1, 1)
	d.size(40)
	return &TeeTarget{d.inet(0), d.str(16, 16)}
}

// SynproxyTarget is struct nf_synproxy_info.
type SynproxyTarget struct {
	MSS, WScale, SACK, Timestamp, ECN bool
	WScaleValue                       uint8
	MSSValue                          uint16
}

func (d *blob) synproxy() any {
	d.revs(0, 0)
	d.size(4)
	f := d.u8(0)
	d.only(uint64(f), 31)
	return &SynproxyTarget{f&1 != 0, f&2 != 0, f&4 != 0, f&8 != 0, f&16 != 0, d.u8(1), d.u16(2)}
}
