package snap

import "net/netip"

// Cgroup is a control group whose sockets pass through bpf programs. Groups
// without any are not in a snapshot.
type Cgroup struct {
	ID   uint64 `json:"id"`   // its inode, which sockets carry
	Path string `json:"path"` // below the mount of cgroup2: "/system.slice/web.service"
	// Programs are those in force, of the groups above it, too.
	Programs []CgroupProgram `json:"programs"`
}

// CgroupProgram is a bpf program at one hook of a control group.
type CgroupProgram struct {
	Hook string `json:"hook"` // as bpftool(8) calls it: "cgroup_inet_egress", "cgroup_inet4_connect" …
	ID   uint32 `json:"id"`
	Name string `json:"name,omitempty"`
	At   string `json:"at,omitempty"` // path of the group that it is attached to; "" not found
	// Always is "allow" or "deny" where it answers that to everything; "" when it
	// looks, or may not be read.
	Always string `json:"always,omitempty"`
	// Filter is what systemd's firewall program goes by; nil for any other.
	Filter *CgroupFilter `json:"filter,omitempty"`
}

// CgroupFilter is systemd's IPAddressAllow= and IPAddressDeny=: of what comes in
// the source counts, of what goes out the destination. What is on both is let
// through.
type CgroupFilter struct {
	Allow []netip.Prefix `json:"allow,omitempty"`
	Deny  []netip.Prefix `json:"deny,omitempty"`
}

// Lets says whether the filter lets packets from or to an address through.
func (f *CgroupFilter) Lets(a netip.Addr) bool {
	on := func(list []netip.Prefix) bool {
		for _, p := range list {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return on(f.Allow) || !on(f.Deny)
}

// Cgroup is the control group with that id; nil when no programs see it.
func (n *Netns) Cgroup(id uint64) *Cgroup {
	for i := range n.Cgroups {
		if n.Cgroups[i].ID == id {
			return &n.Cgroups[i]
		}
	}
	return nil
}
