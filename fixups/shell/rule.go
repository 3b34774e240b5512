package shell

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rule reads ip-rule(8): add and delete.
func (r *reader) rule() (fixups.Op, error) {
	verb, err := r.next("what to do")
	if err != nil {
		return nil, err
	}
	p := snap.PolicyRule{Family: r.fam, Action: "table", Table: snap.TableMain, SuppressPrefixLen: -1, SuppressIfgroup: -1}
	said := map[string]bool{}
	for r.more() {
		w, _ := r.next("")
		said[w] = true
		if err := r.selector(w, &p); err != nil {
			return nil, err
		}
	}
	if p.Family == "" {
		p.Family = snap.IPv4
		if p.Src.Addr().Is6() || p.Dst.Addr().Is6() {
			p.Family = snap.IPv6
		}
	}
	prio := said["priority"] || said["pref"] || said["preference"] || said["order"]
	switch verb {
	case "add", "a":
		if !prio {
			p.Priority = r.freePriority(p.Family)
		}
		return &fixups.PolicyRuleAdd{Where: r.where(), Rule: p}, nil
	case "delete", "del", "d":
		acts := said["table"] || said["lookup"] || said["goto"] || said["blackhole"] || said["unreachable"] || said["prohibit"]
		for _, o := range r.ns.Rules {
			want := p
			if !prio {
				want.Priority = o.Priority
			}
			if !acts {
				want.Action, want.Table, want.Goto = o.Action, o.Table, o.Goto
			}
			if len(said) == 1 && prio { // by its priority alone
				want = o
				want.Priority, want.Family = p.Priority, p.Family
			}
			if reflect.DeepEqual(want, o) {
				return &fixups.PolicyRuleDel{Where: r.where(), Rule: o}, nil
			}
		}
		return nil, snap.NotFoundf("%s has no such rule", r.ns.ID)
	}
	return nil, fmt.Errorf("ip rule %s: %w", verb, snap.ErrUnsupported)
}

// freePriority is what the kernel gives a rule without one: before the second
// rule (net/core/fib_rules.c:fib_default_rule_pref).
func (r *reader) freePriority(fam snap.Family) uint32 {
	var all []uint32
	for _, o := range r.ns.Rules {
		if o.Family == fam {
			all = append(all, o.Priority)
		}
	}
	snap.Sort(all, cmp.Compare)
	if len(all) > 1 && all[1] > 0 {
		return all[1] - 1
	}
	return 0
}

// selector reads one part of a rule.
func (r *reader) selector(w string, p *snap.PolicyRule) (err error) {
	var n uint64
	switch w {
	case "not":
		p.Invert = true
	case "from":
		p.Src, err = r.ruleNet()
	case "to":
		p.Dst, err = r.ruleNet()
	case "iif":
		p.IIF, err = r.next(w)
	case "oif":
		p.OIF, err = r.next(w)
	case "fwmark":
		p.Mark, p.Mask, err = r.mark()
	case "tos", "dsfield":
		n, err = r.number(w, 8)
		p.TOS = uint8(n)
	case "ipproto":
		p.IPProto, err = r.proto()
	case "sport":
		p.Sport, err = r.ports()
	case "dport":
		p.Dport, err = r.ports()
	case "uidrange":
		p.UID, err = r.uids()
	case "l3mdev":
		p.L3mdev, p.Table = true, 0
	case "priority", "pref", "preference", "order":
		n, err = r.number(w, 32)
		p.Priority = uint32(n)
	case "lookup", "table":
		p.Table, err = r.table()
	case "goto":
		n, err = r.number(w, 32)
		p.Action, p.Table, p.Goto = w, 0, uint32(n)
	case "blackhole", "unreachable", "prohibit":
		p.Action, p.Table = w, 0
	case "suppress_prefixlength":
		n, err = r.number(w, 8)
		p.SuppressPrefixLen = int(n)
	default:
		err = fmt.Errorf("ip rule … %s: %w", w, snap.ErrUnsupported)
	}
	return err
}

// ruleNet reads the network of a rule; zero for "all".
func (r *reader) ruleNet() (netip.Prefix, error) {
	if r.take("all", "any", "default") {
		return netip.Prefix{}, nil
	}
	return r.prefix(false)
}

func (r *reader) mark() (mark, mask uint32, err error) {
	w, err := r.next("the mark")
	if err != nil {
		return 0, 0, err
	}
	value, under, masked := strings.Cut(w, "/")
	m, err := strconv.ParseUint(value, 0, 32)
	k := uint64(0xffffffff)
	if err == nil && masked {
		k, err = strconv.ParseUint(under, 0, 32)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("mark %q is no number", w)
	}
	return uint32(m), uint32(k), nil
}

func (r *reader) proto() (uint8, error) {
	w, err := r.next("the protocol")
	if err != nil {
		return 0, err
	}
	if n := snap.Proto(w).Number(); n != 0 {
		return n, nil
	}
	n, err := strconv.ParseUint(w, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("protocol %q: %w", w, snap.ErrUnsupported)
	}
	return uint8(n), nil
}

// ports reads a port, or two of them with "-" between.
func (r *reader) ports() ([2]uint16, error) {
	w, err := r.next("the port")
	if err != nil {
		return [2]uint16{}, err
	}
	lo, hi, both := strings.Cut(w, "-")
	if !both {
		hi = lo
	}
	a, err := strconv.ParseUint(lo, 10, 16)
	b, err2 := strconv.ParseUint(hi, 10, 16)
	if err != nil || err2 != nil || a > b {
		return [2]uint16{}, fmt.Errorf("%q is no port", w)
	}
	return [2]uint16{uint16(a), uint16(b)}, nil
}

func (r *reader) uids() (*[2]uint32, error) {
	w, err := r.next("the users")
	if err != nil {
		return nil, err
	}
	lo, hi, _ := strings.Cut(w, "-")
	a, err := strconv.ParseUint(lo, 10, 32)
	b, err2 := strconv.ParseUint(hi, 10, 32)
	if err != nil || err2 != nil {
		return nil, fmt.Errorf("%q is no range of users", w)
	}
	return &[2]uint32{uint32(a), uint32(b)}, nil
}
