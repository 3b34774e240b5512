package fixups

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// XDPSet takes the XDP program off a device, or gives it one that is still loaded
// (net/core/dev.c: dev_change_xdp_fd, bpf_xdp_link_detach).
type XDPSet struct {
	Where `json:"where"`
	Name  string `json:"name"`
	Mode  string `json:"mode"`           // snap.XDP.Mode
	Prog  uint32 `json:"prog,omitempty"` // id of the program; 0 takes away what is there
	// Link is the id of the bpf link that holds the program which is taken away; 0
	// for one that netlink attached.
	Link uint32 `json:"link,omitempty"`
}

func (*XDPSet) Kind() string { return "xdp-set" }

func (o *XDPSet) Describe() string {
	if o.Prog == 0 {
		return fmt.Sprintf("take the XDP program off %s%s", o.Name, o.in())
	}
	return fmt.Sprintf("give %s the XDP program %d%s", o.Name, o.Prog, o.in())
}

// word is ip(8)'s and bpftool(8)'s for the mode.
func (o *XDPSet) word() string {
	switch o.Mode {
	case "generic":
		return "xdpgeneric"
	case "driver":
		return "xdpdrv"
	case "offload":
		return "xdpoffload"
	}
	return "xdp"
}

func (o *XDPSet) Shell() []string {
	switch {
	case o.Prog != 0:
		return []string{o.line("bpftool", "net", "attach", o.word(), "id", strconv.FormatUint(uint64(o.Prog), 10), "dev", o.Name)}
	case o.Link != 0:
		return []string{o.line("bpftool", "link", "detach", "id", strconv.FormatUint(uint64(o.Link), 10))}
	}
	return []string{o.line("ip", "link", "set", "dev", o.Name, o.word(), "off")}
}

func (o *XDPSet) On(s *snap.Snapshot) error {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	if l.XDP = nil; o.Prog != 0 {
		l.XDP = &snap.XDP{Mode: o.Mode, ProgID: o.Prog}
	}
	return nil
}

// Inverse can be carried out for as long as the program lives on without the device:
// somebody has it open.
func (o *XDPSet) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil, err
	}
	switch x := l.XDP; {
	case x == nil && o.Prog == 0, x != nil && x.ProgID == o.Prog:
		return nil, nil
	case x == nil:
		return &XDPSet{Where: o.Where, Name: o.Name, Mode: o.Mode}, nil
	default:
		return &XDPSet{Where: o.Where, Name: o.Name, Mode: x.Mode, Prog: x.ProgID}, nil
	}
}

func (o *XDPSet) Risk() Risk { return RiskHigh }

func (o *XDPSet) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	if l.XDP == nil {
		return []any{l.Index, l.Kind, nil}
	}
	return []any{l.Index, l.Kind, l.XDP.Mode, l.XDP.ProgID}
}

func (o *XDPSet) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return false
	}
	if o.Prog == 0 {
		return l.XDP == nil
	}
	return l.XDP != nil && l.XDP.ProgID == o.Prog
}
