package fixups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// FDBSet writes a forwarding entry of a bridge or VXLAN device. Entry.Index
// and Entry.Master are not looked at: Dev names the port or device, and an
// entry is the device's own when Entry.Self, else that of its bridge.
type FDBSet struct {
	Where
	Dev   string        `json:"dev"`
	Entry snap.FDBEntry `json:"entry"`
}

// FDBDel deletes that entry.
type FDBDel struct {
	Where
	Dev   string        `json:"dev"`
	Entry snap.FDBEntry `json:"entry"`
}

func (*FDBSet) Kind() string { return "fdb-set" }
func (*FDBDel) Kind() string { return "fdb-del" }

func (o *FDBSet) Describe() string {
	return fmt.Sprintf("set forwarding entry %s%s", strings.Join(fdbWords(o.Dev, o.Entry), " "), o.in())
}

func (o *FDBDel) Describe() string {
	return fmt.Sprintf("delete forwarding entry %s%s", strings.Join(fdbWords(o.Dev, o.Entry), " "), o.in())
}

func (o *FDBSet) Shell() []string {
	words := fdbWords(o.Dev, o.Entry)
	if st := fdbState(o.Entry.State); st != "" {
		words = append(words, st)
	}
	if o.Entry.Sticky {
		words = append(words, "sticky")
	}
	verb := "replace"
	if o.Entry.Dst.IsValid() {
		verb = "append" // several VTEPs may share the zero MAC
	}
	return []string{o.line(append([]string{"bridge", "fdb", verb}, words...)...)}
}

func (o *FDBDel) Shell() []string {
	return []string{o.line(append([]string{"bridge", "fdb", "del"}, fdbWords(o.Dev, o.Entry)...)...)}
}

// fdbState is bridge(8)'s word: permanent is "local" for it, static "static".
func fdbState(state string) string {
	switch state {
	case "permanent":
		return "permanent"
	case "static":
		return "static"
	}
	return "dynamic"
}

func fdbWords(dev string, e snap.FDBEntry) []string {
	out := []string{e.MAC, "dev", dev}
	if e.OfDevice() {
		out = append(out, "self")
	} else {
		out = append(out, "master")
	}
	if e.Vlan != 0 {
		out = append(out, "vlan", strconv.Itoa(e.Vlan))
	}
	if e.Dst.IsValid() {
		out = append(out, "dst", e.Dst.String())
	}
	if e.VNI != 0 {
		out = append(out, "vni", strconv.FormatUint(uint64(e.VNI), 10))
	}
	if e.Port != 0 {
		out = append(out, "port", strconv.Itoa(int(e.Port)))
	}
	return out
}

func findFDB(s *snap.Snapshot, w Where, dev string, e snap.FDBEntry) (*snap.Netns, *snap.Link, int, error) {
	ns, l, err := w.link(s, dev)
	if err != nil {
		return nil, nil, -1, err
	}
	self := e.Self || e.Dst.IsValid()
	return ns, l, slices.IndexFunc(ns.FDB, func(f snap.FDBEntry) bool {
		return f.Index == l.Index && f.MAC == e.MAC && f.Vlan == e.Vlan && f.Dst == e.Dst && (f.Self || f.Dst.IsValid()) == self
	}), nil
}

func (o *FDBSet) On(s *snap.Snapshot) error {
	ns, l, i, err := findFDB(s, o.Where, o.Dev, o.Entry)
	if err != nil {
		return err
	}
	e := o.Entry
	e.Index, e.Master = l.Index, 0
	if !e.Self && !e.Dst.IsValid() {
		if e.Master = l.Master; l.Bridge != nil {
			e.Master = l.Index
		}
	}
	if i >= 0 {
		ns.FDB[i] = e
		return nil
	}
	ns.FDB = append(ns.FDB, e)
	return nil
}

func (o *FDBDel) On(s *snap.Snapshot) error {
	ns, _, i, err := findFDB(s, o.Where, o.Dev, o.Entry)
	if err != nil {
		return err
	}
	if i < 0 {
		return snap.NotFoundf("no forwarding entry %s on %s in %s", o.Entry.MAC, o.Dev, o.ID)
	}
	ns.FDB = slices.Delete(ns.FDB, i, i+1)
	return nil
}

func (o *FDBSet) Inverse(s *snap.Snapshot) (Op, error) {
	ns, _, i, err := findFDB(s, o.Where, o.Dev, o.Entry)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return &FDBDel{Where: o.Where, Dev: o.Dev, Entry: o.Entry}, nil
	}
	if o.Holds(s) {
		return nil, nil
	}
	return &FDBSet{Where: o.Where, Dev: o.Dev, Entry: ns.FDB[i]}, nil
}

func (o *FDBDel) Inverse(s *snap.Snapshot) (Op, error) {
	ns, _, i, err := findFDB(s, o.Where, o.Dev, o.Entry)
	if err != nil || i < 0 {
		return nil, err
	}
	return &FDBSet{Where: o.Where, Dev: o.Dev, Entry: ns.FDB[i]}, nil
}

func (o *FDBSet) Risk() Risk { return RiskMedium }
func (o *FDBDel) Risk() Risk { return RiskMedium }

func (o *FDBSet) Object(s *snap.Snapshot) any { return fdbObject(s, o.Where, o.Dev, o.Entry) }
func (o *FDBDel) Object(s *snap.Snapshot) any { return fdbObject(s, o.Where, o.Dev, o.Entry) }

func fdbObject(s *snap.Snapshot, w Where, dev string, e snap.FDBEntry) any {
	ns, l, i, err := findFDB(s, w, dev, e)
	if err != nil {
		return nil
	}
	if i < 0 {
		return []any{l.Index}
	}
	return []any{l.Index, ns.FDB[i].MAC, ns.FDB[i].Dst, fdbState(ns.FDB[i].State)}
}

func (o *FDBSet) Holds(s *snap.Snapshot) bool {
	ns, _, i, err := findFDB(s, o.Where, o.Dev, o.Entry)
	return err == nil && i >= 0 && fdbState(ns.FDB[i].State) == fdbState(o.Entry.State)
}

func (o *FDBDel) Holds(s *snap.Snapshot) bool {
	_, _, i, err := findFDB(s, o.Where, o.Dev, o.Entry)
	return err == nil && i < 0
}
