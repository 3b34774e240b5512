package fixups

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// XfrmPolicyDel deletes a policy of IPsec that wraps nothing.
type XfrmPolicyDel struct {
	Where
	Policy snap.XfrmPolicy `json:"policy"`
}

// XfrmPolicyAdd makes one.
type XfrmPolicyAdd struct {
	Where
	Policy snap.XfrmPolicy `json:"policy"`
}

func (*XfrmPolicyDel) Kind() string { return "xfrm-policy-del" }
func (*XfrmPolicyAdd) Kind() string { return "xfrm-policy-add" }

func (o *XfrmPolicyDel) Describe() string {
	return fmt.Sprintf("delete the IPsec policy from %s to %s dir %s%s", o.Policy.Src, o.Policy.Dst, o.Policy.Dir, o.in())
}

func (o *XfrmPolicyAdd) Describe() string {
	return fmt.Sprintf("make an IPsec policy from %s to %s dir %s%s", o.Policy.Src, o.Policy.Dst, o.Policy.Dir, o.in())
}

func (o *XfrmPolicyDel) Shell() []string {
	return []string{o.line(append([]string{"ip", "xfrm", "policy", "delete"}, xfrmWords(&o.Policy)...)...)}
}

func (o *XfrmPolicyAdd) Shell() []string {
	args := append([]string{"ip", "xfrm", "policy", "add"}, xfrmWords(&o.Policy)...)
	if o.Policy.Block {
		args = append(args, "action", "block")
	}
	return []string{o.line(append(args, "priority", strconv.FormatUint(uint64(o.Policy.Priority), 10))...)}
}

// xfrmWords are what names a policy to ip-xfrm(8): its selector, direction and mark.
func xfrmWords(p *snap.XfrmPolicy) []string {
	out := []string{"src", p.Src.String(), "dst", p.Dst.String()}
	if p.Proto != 0 {
		out = append(out, "proto", strconv.Itoa(int(p.Proto)))
	}
	if p.Sport[1] != 0 {
		out = append(out, "sport", strconv.Itoa(int(p.Sport[0])))
	}
	if p.Dport[1] != 0 {
		out = append(out, "dport", strconv.Itoa(int(p.Dport[0])))
	}
	out = append(out, "dir", p.Dir)
	if p.Mask != 0 {
		out = append(out, "mark", fmt.Sprintf("%#x", p.Mark), "mask", fmt.Sprintf("%#x", p.Mask))
	}
	return out
}

func findXfrm(s *snap.Snapshot, w Where, p *snap.XfrmPolicy) (*snap.Netns, int, error) {
	ns, err := w.find(s)
	if err != nil || ns.Xfrm == nil {
		return ns, -1, err
	}
	return ns, slices.IndexFunc(ns.Xfrm.Policies, func(x snap.XfrmPolicy) bool {
		x.Index = p.Index // the kernel gives a new one
		return reflect.DeepEqual(x, *p)
	}), nil
}

func (o *XfrmPolicyDel) On(s *snap.Snapshot) error {
	ns, i, err := findXfrm(s, o.Where, &o.Policy)
	if err != nil {
		return err
	}
	if i < 0 {
		return snap.NotFoundf("%s has no such IPsec policy", o.ID)
	}
	ns.Xfrm.Policies = slices.Delete(ns.Xfrm.Policies, i, i+1)
	return nil
}

func (o *XfrmPolicyAdd) On(s *snap.Snapshot) error {
	ns, i, err := findXfrm(s, o.Where, &o.Policy)
	if err != nil {
		return err
	}
	if i >= 0 {
		return fmt.Errorf("%s has that IPsec policy already", o.ID)
	}
	if ns.Xfrm == nil {
		ns.Xfrm = &snap.Xfrm{}
	}
	ns.Xfrm.Policies = slices.Insert(ns.Xfrm.Policies, 0, o.Policy)
	return nil
}

func (o *XfrmPolicyDel) Inverse(s *snap.Snapshot) (Op, error) {
	_, i, err := findXfrm(s, o.Where, &o.Policy)
	if err != nil || i < 0 {
		return nil, err
	}
	return &XfrmPolicyAdd{Where: o.Where, Policy: o.Policy}, nil
}

func (o *XfrmPolicyAdd) Inverse(s *snap.Snapshot) (Op, error) {
	_, i, err := findXfrm(s, o.Where, &o.Policy)
	if err != nil || i >= 0 {
		return nil, err
	}
	return &XfrmPolicyDel{Where: o.Where, Policy: o.Policy}, nil
}

func (o *XfrmPolicyDel) Risk() Risk { return RiskMedium }
func (o *XfrmPolicyAdd) Risk() Risk { return RiskMedium }

func (o *XfrmPolicyDel) Object(s *snap.Snapshot) any { return xfrmObject(s, o.Where, &o.Policy) }
func (o *XfrmPolicyAdd) Object(s *snap.Snapshot) any { return xfrmObject(s, o.Where, &o.Policy) }

// xfrmObject is how many policies are like it.
func xfrmObject(s *snap.Snapshot, w Where, p *snap.XfrmPolicy) any {
	_, i, err := findXfrm(s, w, p)
	return err == nil && i >= 0
}

func (o *XfrmPolicyDel) Holds(s *snap.Snapshot) bool {
	_, i, err := findXfrm(s, o.Where, &o.Policy)
	return err == nil && i < 0
}

func (o *XfrmPolicyAdd) Holds(s *snap.Snapshot) bool {
	_, i, err := findXfrm(s, o.Where, &o.Policy)
	return err == nil && i >= 0
}
