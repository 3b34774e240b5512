package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SandboxAdd makes a network namespace that a file of one's own holds: Where.ID
// is what the snapshot calls it, Where.Path the file. NetnsAdd is for those that
// `ip netns` shall list.
type SandboxAdd struct{ Where }

// SandboxDel lets it go; it ends when nothing is left in it.
type SandboxDel struct{ Where }

func (*SandboxAdd) Kind() string { return "sandbox-add" }
func (*SandboxDel) Kind() string { return "sandbox-del" }

func (o *SandboxAdd) Describe() string { return "make namespace " + o.ID }
func (o *SandboxDel) Describe() string { return "delete namespace " + o.ID }

func (o *SandboxAdd) Shell() []string {
	return []string{words("touch", o.Path), words("unshare", "--net="+o.Path, "true")}
}

func (o *SandboxDel) Shell() []string { return []string{words("umount", o.Path), words("rm", o.Path)} }

func (o *SandboxAdd) On(s *snap.Snapshot) error {
	if s.Ns(o.ID) != nil {
		return fmt.Errorf("namespace %s is there already", o.ID)
	}
	s.Netns = append(s.Netns, snap.Netns{
		ID: o.ID, Path: o.Path, Names: []string{}, Class: snap.ClassAttached,
		Links:   []snap.Link{{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Loopback: true, OperState: "down", PeerNSID: -1, MAC: "00:00:00:00:00:00"}},
		Sysctls: map[string]string{"net/ipv4/ip_forward": "0"},
	})
	return nil
}

func (o *SandboxDel) On(s *snap.Snapshot) error {
	ns, err := o.find(s)
	if err != nil {
		return err
	}
	for i := range ns.Links {
		l := &ns.Links[i]
		if pns, p := peerOf(s, ns, l); p != nil && l.Kind == "veth" && pns != ns {
			forget(s, pns, p.Index)
		}
	}
	s.Netns = snap.Without(s.Netns, func(n snap.Netns) bool { return n.ID == o.ID })
	return nil
}

func (o *SandboxAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if s.Ns(o.ID) != nil {
		return nil, nil
	}
	return &SandboxDel{o.Where}, nil
}

// Inverse is refused: what was in it can't be made again.
func (o *SandboxDel) Inverse(s *snap.Snapshot) (Op, error) {
	if s.Ns(o.ID) == nil {
		return nil, nil
	}
	return nil, fmt.Errorf("putting namespace %s back: %w", o.ID, snap.ErrUnsupported)
}

func (o *SandboxAdd) Risk() Risk { return RiskLow }
func (o *SandboxDel) Risk() Risk { return RiskHigh }

func (o *SandboxAdd) Object(s *snap.Snapshot) any { return s.Ns(o.ID) != nil }
func (o *SandboxDel) Object(s *snap.Snapshot) any { return s.Ns(o.ID) != nil }

func (o *SandboxAdd) Holds(s *snap.Snapshot) bool { return s.Ns(o.ID) != nil }
func (o *SandboxDel) Holds(s *snap.Snapshot) bool { return s.Ns(o.ID) == nil }

// Places is none: the namespace is not there yet.
func (o *SandboxAdd) Places() []Where { return nil }

// Places is none: the namespace may be gone already.
func (o *SandboxDel) Places() []Where { return nil }
