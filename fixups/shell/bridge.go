package shell

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// bridge reads bridge(8): the settings of a port.
func (r *reader) bridge() (fixups.Op, error) {
	if !r.take("link") || !r.take("set") || !r.take("dev") {
		return nil, fmt.Errorf("of bridge, link set dev is read here: %w", snap.ErrUnsupported)
	}
	l, err := r.device()
	if err != nil {
		return nil, err
	}
	o := &fixups.PortSet{Where: r.where(), Name: l.Name}
	flags := map[string]**bool{
		"hairpin": &o.Hairpin, "isolated": &o.Isolated, "learning": &o.Learning, "flood": &o.Flood, "mcast_flood": &o.McastFlood,
		"bcast_flood": &o.BcastFlood, "neigh_suppress": &o.NeighSuppress, "locked": &o.Locked, "guard": &o.Guard, "fastleave": &o.FastLeave,
	}
	if !r.more() {
		return nil, fmt.Errorf("the line changes nothing")
	}
	for r.more() {
		w, _ := r.next("")
		if w == "state" {
			n, err := r.portState()
			if err != nil {
				return nil, err
			}
			o.State = &n
			continue
		}
		flag, ok := flags[w]
		if !ok {
			return nil, fmt.Errorf("bridge link set … %s: %w", w, snap.ErrUnsupported)
		}
		on := r.take("on")
		if !on && !r.take("off") {
			return nil, fmt.Errorf("%s is on or off", w)
		}
		*flag = &on
	}
	return o, nil
}

// portState reads a state by its number or name.
func (r *reader) portState() (int, error) {
	for i, name := range []string{"disabled", "listening", "learning", "forwarding", "blocking"} {
		if r.take(name, fmt.Sprint(i)) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no state of a port")
}
