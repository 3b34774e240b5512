package fixups

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// IPSetMember takes an address or a network out of a set of ipset(8), or puts it in:
// the rules that ask the set, and what else is in it, stay.
type IPSetMember struct {
	Where `json:"where"`
	Set   string `json:"set"`
	// Entry has IP, and TimeoutS and NoMatch, alone.
	Entry snap.IPSetEntry `json:"entry"`
	// In says that it is to be in the set.
	In bool `json:"in,omitempty"`
}

func (*IPSetMember) Kind() string { return "ipset-member" }

func (o *IPSetMember) text() string {
	if p := o.Entry.IP; !p.IsSingleIP() {
		return p.String()
	}
	return o.Entry.IP.Addr().String()
}

func (o *IPSetMember) Describe() string {
	what := "take " + o.text() + " out of"
	if o.In {
		what = "put " + o.text() + " into"
	}
	return what + " the ipset " + o.Set + o.in()
}

func (o *IPSetMember) Shell() []string {
	args := []string{"ipset", "del", o.Set, o.text()}
	if o.In {
		args[1] = "add"
		if t := o.Entry.TimeoutS; t > 0 {
			args = append(args, "timeout", strconv.Itoa(int(t)))
		}
		if o.Entry.NoMatch {
			args = append(args, "nomatch")
		}
	}
	return []string{o.line(args...)}
}

// entry is the set, of which the snapshot then has its own copy, and where in it the
// entry is; -1 nowhere.
func (o *IPSetMember) entry(s *snap.Snapshot) (*snap.IPSet, int, error) {
	ns, err := o.find(s)
	if err != nil {
		return nil, -1, err
	}
	own := append([]snap.IPSet{}, ns.IPSets...)
	for k := range own {
		x := &own[k]
		if x.Name != o.Set {
			continue
		}
		ns.IPSets, x.Entries = own, append([]snap.IPSetEntry{}, x.Entries...)
		for i := range x.Entries {
			if x.Entries[i].IP == o.Entry.IP {
				return x, i, nil
			}
		}
		return x, -1, nil
	}
	return nil, -1, snap.NotFoundf("%s has no ipset %s", o.ID, o.Set)
}

func (o *IPSetMember) On(s *snap.Snapshot) error {
	x, i, err := o.entry(s)
	switch {
	case err != nil || o.In == (i >= 0):
	case o.In:
		x.Entries = append(x.Entries, o.Entry)
	default:
		x.Entries = append(x.Entries[:i], x.Entries[i+1:]...)
	}
	return err
}

func (o *IPSetMember) Inverse(s *snap.Snapshot) (Op, error) {
	x, i, err := o.entry(s)
	if err != nil || o.In == (i >= 0) {
		return nil, err
	}
	back := *o
	back.In = !o.In
	if back.In {
		back.Entry = x.Entries[i]
	}
	return &back, nil
}

// Risk is that whoever was shut out may come in.
func (*IPSetMember) Risk() Risk { return RiskMedium }

// Object is whether it is in the set: what is left of its time runs down.
func (o *IPSetMember) Object(s *snap.Snapshot) any {
	_, i, err := o.entry(s)
	if err != nil {
		return nil
	}
	return []any{o.Set, i >= 0}
}

func (o *IPSetMember) Holds(s *snap.Snapshot) bool {
	_, i, err := o.entry(s)
	return err == nil && o.In == (i >= 0)
}
