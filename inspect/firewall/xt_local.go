package firewall

// OwnerMatch is xt_owner_match_info (revision 1), of packets that this host
// sends.
type OwnerMatch struct {
	HasUID, HasGID, HasSocket bool
	InvUID, InvGID, InvSocket bool
	UIDMin, UIDMax            uint32
	GIDMin, GIDMax            uint32
	SupplGroups               bool // GID also means supplementary groups
}

func (d *blob) owner() any {
	d.revs(1, 1)
	d.size(18)
	f, inv := d.u8(16), d.u8(17)
	d.only(uint64(f|inv), 15)
	return &OwnerMatch{
		HasUID: f&1 != 0, HasGID: f&2 != 0, HasSocket: f&4 != 0, SupplGroups: f&8 != 0,
		InvUID: inv&1 != 0, InvGID: inv&2 != 0, InvSocket: inv&4 != 0,
		UIDMin: d.u32(0), UIDMax: d.u32(4), GIDMin: d.u32(8), GIDMax: d.u32(12),
	}
}

// CgroupMatch is xt_cgroup_info_v0 to v2: the sender's cgroup.
type CgroupMatch struct {
	Path       string // of cgroup v2; "" with HasClassID
	ClassID    uint32
	HasClassID bool
	Invert     bool
}

func (d *blob) cgroup() any {
	d.revs(0, 2)
	path, class := 512, 4
	switch d.rev {
	case 0:
		d.size(8)
		return &CgroupMatch{ClassID: d.u32(0), HasClassID: true, Invert: d.u32(4) != 0}
	case 1:
		d.size(4 + 4096 + 4 + 8)
		path, class = 4096, 4+4096
	default:
		d.size(4 + 512 + 4 + 8)
	}
	if d.flag(1) {
		return &CgroupMatch{ClassID: d.u32(class), HasClassID: true, Invert: d.flag(3)}
	}
	return &CgroupMatch{Path: d.str(4, path), Invert: d.flag(2)}
}

// CPUMatch is xt_cpu_info: the CPU that handles the packet.
type CPUMatch struct {
	CPU    uint32
	Invert bool
}

func (d *blob) cpu() any {
	d.revs(0, 0)
	d.size(8)
	return &CPUMatch{d.u32(0), d.u32(4) != 0}
}

// SocketMatch is the socket match, revisions 0 (no fields) to 3: there is a
// local socket for the packet.
type SocketMatch struct {
	Transparent bool // the socket must be transparent
	NoWildcard  bool // sockets bound to any address count too
	RestoreMark bool // the packet gets the socket's mark
}

func (d *blob) socket() any {
	d.revs(0, 3)
	if d.rev == 0 {
		return &SocketMatch{}
	}
	d.size(1)
	f := d.u8(0)
	d.only(uint64(f), 7>>(3-d.rev))
	return &SocketMatch{f&1 != 0, f&2 != 0, f&4 != 0}
}
