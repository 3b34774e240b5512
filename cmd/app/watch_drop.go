package app

import (
	"fmt"
	"net/netip"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func (w *watcher) say(d v1.Drop, times int) error {
	d.Times = times
	return w.send(&v1.WatchEvent{Event: "drop", Drop: &d, Text: dropText(&d)})
}

// dropText is a drop in one line.
func dropText(d *v1.Drop) string {
	side := func(c, a string) string {
		if c != "" {
			return c + " " + a
		}
		return a
	}
	t := fmt.Sprintf("%s → %s/%s dropped in %s", side(d.FromContainer, d.Src), side(d.ToContainer, d.Dst), d.Proto, d.Netns)
	if d.Device != "" {
		t += " on " + d.Device
	}
	switch {
	case d.Rule != "": // the kernel's own words would say less
		t += " by " + d.Rule
	case d.Func != "":
		t += ": " + d.Reason + " at " + d.Func
	default:
		t += ": " + d.Reason
	}
	if d.Times > 1 {
		t += fmt.Sprintf(" (%d more)", d.Times)
	}
	return t
}

// flush tells of what went on since the last tick.
func (w *watcher) flush() error {
	for k, d := range w.kinds {
		if d.Times > 0 {
			if err := w.say(*d, d.Times); err != nil {
				return err
			}
			d.Times = 0
			continue
		}
		delete(w.kinds, k)
	}
	n := w.unsaid
	if w.drops != nil {
		now := w.drops.Skipped()
		n += int(now - w.skipped)
		w.skipped = now
	}
	w.lines, w.unsaid = 0, 0
	if n == 0 {
		return nil
	}
	return w.send(&v1.WatchEvent{Event: "sampled", Skipped: n, Text: fmt.Sprintf("%d more drops were not looked at: this is a sample", n)})
}

// container is the one that holds an address; "" when none does.
func (w *watcher) container(a netip.Addr) string {
	if c := w.graph.ContainerOfAddr(a); c != nil {
		return c.Ref
	}
	return ""
}

// rule is the rule, or the policy, that the model says drops such a packet
// there; "" when it says otherwise.
func (w *watcher) rule(x *snap.Seen) string {
	if x.Reason != "NETFILTER_DROP" {
		return ""
	}
	f := sim.Flow{Src: x.Src.Addr(), Dst: x.Dst.Addr(), Proto: x.Proto, Sport: x.Src.Port(), Dport: x.Dst.Port()}
	f.From = owner(w.graph, f.Src)
	if f.From == "" {
		if x.Netns != w.s.Host.Netns || x.Device == "" {
			return ""
		}
		f.From, f.Iif = x.Netns, x.Device
	}
	t := w.in.World.Trace(f)
	if t.Where == nil || t.Where.Rule == nil || t.Where.Netns != x.Netns || t.Where.Reply {
		return ""
	}
	line, _ := w.in.RuleLine(t.Where)
	return diag.ChainName(t.Where) + ": " + line
}
