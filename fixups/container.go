package fixups

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Ctr names a container to its engine.
type Ctr struct {
	Ref    string `json:"ref"` // Container.Ref
	Engine string `json:"engine"`
	ID     string `json:"id"`
	Name   string `json:"name"`
}

// CtrOf names a container of a snapshot.
func CtrOf(c *snap.Container) Ctr { return Ctr{Ref: c.Ref, Engine: c.Engine, ID: c.ID, Name: c.Name} }

// Netns is "": the change is a call to the engine.
func (c Ctr) Netns() string { return "" }

// line is a command of the engine's own program.
func (c Ctr) line(args ...string) string {
	return words(append([]string{c.program()}, args...)...)
}

// program is the engine's command: containerd's own has no such commands,
// nerdctl has.
func (c Ctr) program() string {
	if c.Engine == "containerd" {
		return "nerdctl"
	}
	return c.Engine
}

func (c Ctr) find(s *snap.Snapshot) (*snap.Container, error) {
	if x := s.Container(c.Ref); x != nil && (c.ID == "" || x.ID == c.ID) {
		return x, nil
	}
	return nil, snap.NotFoundf("no container %s", c.Ref)
}

func (c Ctr) state(s *snap.Snapshot) string {
	x, err := c.find(s)
	if err != nil {
		return ""
	}
	return x.State
}

// change takes the container from one of the states to another.
func (c Ctr) change(s *snap.Snapshot, to string, from ...string) error {
	x, err := c.find(s)
	if err != nil {
		return err
	}
	if slices.Contains(from, x.State) {
		x.State = to
		return nil
	}
	return fmt.Errorf("container %s is %s", c.Name, x.State)
}

// ContainerStart starts a container that has ended or never ran.
type ContainerStart struct{ Ctr }

// ContainerStop stops a container: what undoes ContainerStart.
type ContainerStop struct{ Ctr }

// ContainerPause freezes a container: what undoes ContainerUnpause.
type ContainerPause struct{ Ctr }

// ContainerUnpause lets a frozen container go on.
type ContainerUnpause struct{ Ctr }

func (*ContainerStart) Kind() string   { return "container-start" }
func (*ContainerStop) Kind() string    { return "container-stop" }
func (*ContainerPause) Kind() string   { return "container-pause" }
func (*ContainerUnpause) Kind() string { return "container-unpause" }

func (o *ContainerStart) Describe() string   { return "start container " + o.Name }
func (o *ContainerStop) Describe() string    { return "stop container " + o.Name }
func (o *ContainerPause) Describe() string   { return "pause container " + o.Name }
func (o *ContainerUnpause) Describe() string { return "unpause container " + o.Name }

func (o *ContainerStart) Shell() []string   { return []string{o.line("start", o.Name)} }
func (o *ContainerStop) Shell() []string    { return []string{o.line("stop", o.Name)} }
func (o *ContainerPause) Shell() []string   { return []string{o.line("pause", o.Name)} }
func (o *ContainerUnpause) Shell() []string { return []string{o.line("unpause", o.Name)} }

// On marks it running, with addresses and names, and adds the host's ends of its veth
// pairs. What its namespace will hold is the engine's to make and not known, which a gap says.
func (o *ContainerStart) On(s *snap.Snapshot) error {
	if err := o.change(s, "running", "exited", "created", "dead"); err != nil {
		return err
	}
	s.Gaps = append(s.Gaps, o.gap())
	c, err := o.find(s)
	host := s.HostNs()
	if err != nil || host == nil {
		return err
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		n := s.NetworkOf(c.Engine, e)
		if n != nil && !e.IPv4.IsValid() {
			like, own := EngineConnect{Ctr: o.Ctr, IPv4: e.StaticIPv4, Aliases: e.Aliases}, e.StaticIPv4
			e.StaticIPv4 = netip.Addr{} // else it counts as taken
			err := like.address(s, n, e)
			if e.StaticIPv4 = own; err != nil {
				return err
			}
			if !n.Default && len(e.DNSNames) == 0 {
				e.DNSNames = like.names(c)
			}
		}
		if n == nil || n.Driver != "bridge" || host.Link(n.Bridge) == nil {
			continue
		}
		host.Links = append(host.Links, snap.Link{Index: later(host), Name: unnamed(host, "veth"), Kind: "veth", MTU: host.Link(n.Bridge).MTU, Up: true})
	}
	return nil
}

func (o *ContainerStart) gap() snap.Gap { return startGap(o.Ctr) }

func startGap(c Ctr) snap.Gap {
	return snap.Gap{What: "namespace", Ref: snap.RefContainer(c.Ref), Kind: "not-found", Why: "container " + c.Name + " is only to be started"}
}

func (o *ContainerStop) On(s *snap.Snapshot) error {
	if err := o.change(s, "exited", "running", "paused", "restarting"); err != nil {
		return err
	}
	gap := startGap(o.Ctr)
	for i, g := range s.Gaps {
		if g == gap {
			s.Gaps = append(s.Gaps[:i:i], s.Gaps[i+1:]...)
			break
		}
	}
	return nil
}

func (o *ContainerPause) On(s *snap.Snapshot) error   { return o.change(s, "paused", "running") }
func (o *ContainerUnpause) On(s *snap.Snapshot) error { return o.change(s, "running", "paused") }

func (o *ContainerStart) Inverse(s *snap.Snapshot) (Op, error) {
	if o.state(s) == "running" {
		return nil, nil
	}
	return &ContainerStop{o.Ctr}, nil
}

func (o *ContainerStop) Inverse(s *snap.Snapshot) (Op, error) {
	if o.state(s) != "running" {
		return nil, nil
	}
	return &ContainerStart{o.Ctr}, nil
}

func (o *ContainerPause) Inverse(s *snap.Snapshot) (Op, error) {
	if o.state(s) != "running" {
		return nil, nil
	}
	return &ContainerUnpause{o.Ctr}, nil
}

func (o *ContainerUnpause) Inverse(s *snap.Snapshot) (Op, error) {
	if o.state(s) != "paused" {
		return nil, nil
	}
	return &ContainerPause{o.Ctr}, nil
}

func (o *ContainerStart) Risk() Risk   { return RiskMedium }
func (o *ContainerStop) Risk() Risk    { return RiskHigh }
func (o *ContainerPause) Risk() Risk   { return RiskHigh }
func (o *ContainerUnpause) Risk() Risk { return RiskLow }

func (o *ContainerStart) Object(s *snap.Snapshot) any   { return o.state(s) }
func (o *ContainerStop) Object(s *snap.Snapshot) any    { return o.state(s) }
func (o *ContainerPause) Object(s *snap.Snapshot) any   { return o.state(s) }
func (o *ContainerUnpause) Object(s *snap.Snapshot) any { return o.state(s) }

func (o *ContainerStart) Holds(s *snap.Snapshot) bool { return o.state(s) == "running" }
func (o *ContainerStop) Holds(s *snap.Snapshot) bool {
	st := o.state(s)
	return st == "exited" || st == "created"
}
func (o *ContainerPause) Holds(s *snap.Snapshot) bool   { return o.state(s) == "paused" }
func (o *ContainerUnpause) Holds(s *snap.Snapshot) bool { return o.state(s) == "running" }
