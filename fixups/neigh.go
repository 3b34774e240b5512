package fixups

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// NeighSet writes an entry of the ARP or ND table. Neigh.Index is not looked
// at: Dev names the device.
type NeighSet struct {
	Where
	Dev   string     `json:"dev"`
	Neigh snap.Neigh `json:"neigh"`
}

// NeighDel deletes an entry; the next packet asks anew.
type NeighDel struct {
	Where
	Dev   string     `json:"dev"`
	IP    netip.Addr `json:"ip"`
	Proxy bool       `json:"proxy,omitempty"`
}

func (*NeighSet) Kind() string { return "neigh-set" }
func (*NeighDel) Kind() string { return "neigh-del" }

func (o *NeighSet) Describe() string {
	if o.Neigh.Proxy {
		return fmt.Sprintf("answer for %s on %s%s", o.Neigh.IP, o.Dev, o.in())
	}
	return fmt.Sprintf("set neighbour %s on %s to %s%s", o.Neigh.IP, o.Dev, o.Neigh.MAC, o.in())
}

func (o *NeighDel) Describe() string {
	return fmt.Sprintf("delete neighbour %s on %s%s", o.IP, o.Dev, o.in())
}

func (o *NeighSet) Shell() []string {
	if o.Neigh.Proxy {
		return []string{o.line("ip", "neigh", "add", "proxy", o.Neigh.IP.String(), "dev", o.Dev)}
	}
	args := []string{"ip", "neigh", "replace", o.Neigh.IP.String()}
	if o.Neigh.MAC != "" {
		args = append(args, "lladdr", o.Neigh.MAC)
	}
	return []string{o.line(append(args, "dev", o.Dev, "nud", o.Neigh.State)...)}
}

func (o *NeighDel) Shell() []string {
	if o.Proxy {
		return []string{o.line("ip", "neigh", "del", "proxy", o.IP.String(), "dev", o.Dev)}
	}
	return []string{o.line("ip", "neigh", "del", o.IP.String(), "dev", o.Dev)}
}

func findNeigh(s *snap.Snapshot, w Where, dev string, ip netip.Addr, proxy bool) (*snap.Netns, *snap.Link, int, error) {
	ns, l, err := w.link(s, dev)
	if err != nil {
		return nil, nil, -1, err
	}
	return ns, l, slices.IndexFunc(ns.Neighs, func(n snap.Neigh) bool { return n.Index == l.Index && n.IP == ip && n.Proxy == proxy }), nil
}

func (o *NeighSet) On(s *snap.Snapshot) error {
	ns, l, i, err := findNeigh(s, o.Where, o.Dev, o.Neigh.IP, o.Neigh.Proxy)
	if err != nil {
		return err
	}
	n := o.Neigh
	n.Index = l.Index
	if i >= 0 {
		ns.Neighs[i] = n
		return nil
	}
	ns.Neighs = append(ns.Neighs, n)
	return nil
}

func (o *NeighDel) On(s *snap.Snapshot) error {
	ns, _, i, err := findNeigh(s, o.Where, o.Dev, o.IP, o.Proxy)
	if err != nil {
		return err
	}
	if i < 0 {
		return snap.NotFoundf("no neighbour %s on %s in %s", o.IP, o.Dev, o.ID)
	}
	ns.Neighs = slices.Delete(ns.Neighs, i, i+1)
	return nil
}

func (o *NeighSet) Inverse(s *snap.Snapshot) (Op, error) {
	ns, l, i, err := findNeigh(s, o.Where, o.Dev, o.Neigh.IP, o.Neigh.Proxy)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return &NeighDel{Where: o.Where, Dev: o.Dev, IP: o.Neigh.IP, Proxy: o.Neigh.Proxy}, nil
	}
	want := o.Neigh
	want.Index = l.Index
	if ns.Neighs[i] == want {
		return nil, nil
	}
	return &NeighSet{Where: o.Where, Dev: o.Dev, Neigh: ns.Neighs[i]}, nil
}

// Inverse puts back entries that have a MAC; one that was being asked for or
// that failed comes back by itself.
func (o *NeighDel) Inverse(s *snap.Snapshot) (Op, error) {
	ns, _, i, err := findNeigh(s, o.Where, o.Dev, o.IP, o.Proxy)
	if err != nil || i < 0 {
		return nil, err
	}
	n := ns.Neighs[i]
	if n.MAC == "" && n.State != "permanent" && n.State != "noarp" && !n.Proxy {
		return nil, nil
	}
	return &NeighSet{Where: o.Where, Dev: o.Dev, Neigh: n}, nil
}

func (o *NeighSet) Risk() Risk { return RiskMedium }
func (o *NeighDel) Risk() Risk { return RiskLow }

func (o *NeighSet) Object(s *snap.Snapshot) any {
	return neighObject(s, o.Where, o.Dev, o.Neigh.IP, o.Neigh.Proxy)
}

func (o *NeighDel) Object(s *snap.Snapshot) any { return neighObject(s, o.Where, o.Dev, o.IP, o.Proxy) }

// neighObject leaves out what the kernel learns: such entries come and go, and
// one that is learned where another was deleted changes nothing.
func neighObject(s *snap.Snapshot, w Where, dev string, ip netip.Addr, proxy bool) any {
	ns, l, i, err := findNeigh(s, w, dev, ip, proxy)
	if err != nil {
		return nil
	}
	if i < 0 {
		return []any{l.Index}
	}
	n := ns.Neighs[i]
	if n.State != "permanent" && n.State != "noarp" && !n.Proxy {
		return []any{l.Index}
	}
	return []any{l.Index, n.MAC, n.State == "permanent"}
}

func (o *NeighSet) Holds(s *snap.Snapshot) bool {
	ns, _, i, err := findNeigh(s, o.Where, o.Dev, o.Neigh.IP, o.Neigh.Proxy)
	return err == nil && i >= 0 && ns.Neighs[i].MAC == o.Neigh.MAC && (ns.Neighs[i].State == "permanent") == (o.Neigh.State == "permanent")
}

// Holds is true for an entry that was learned anew, too, when one set by hand
// is asked away: the object tells that it is another one.
func (o *NeighDel) Holds(s *snap.Snapshot) bool {
	_, _, i, err := findNeigh(s, o.Where, o.Dev, o.IP, o.Proxy)
	return err == nil && i < 0
}
