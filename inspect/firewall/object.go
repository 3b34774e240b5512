package firewall

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DecodeObject decodes the attributes of an NFT_MSG_NEWOBJ. Objects that have
// an expression of the same attributes are given as that; others (ct-helper,
// ct-timeout, ct-expect, secmark, tunnel) as a snap.Unknown with NFTA_OBJ_DATA.
func DecodeObject(b []byte) (table string, o snap.Object, err error) {
	a := newAttrs()
	if !a.parse(b, 8) {
		return "", o, fmt.Errorf("nf_tables object: %w", errMalformed)
	}
	r := values{attrs: &a}
	table = r.str(1)
	o = snap.Object{Name: r.str(2), Handle: r.u64(6), Type: nameOf(objectTypes, r.u32(3))}
	if r.bad || table == "" || o.Name == "" {
		return table, o, fmt.Errorf("nf_tables object %q: %w", o.Name, errMalformed)
	}
	o.Expr = snap.Exprs{&snap.Unknown{Name: o.Type, Raw: a.v[4]}}
	switch o.Type {
	case "counter", "quota", "limit", "connlimit", "synproxy":
		n := littleAttrs()
		in := values{attrs: &n}
		if e := in.action([]byte(o.Type), a.v[4]); e != nil && !in.bad && !n.extra {
			o.Expr = snap.Exprs{e}
		}
	}
	return table, o, nil
}

// DecodeFlowtable decodes the attributes of an NFT_MSG_NEWFLOWTABLE.
func DecodeFlowtable(b []byte) (table string, f snap.Flowtable, err error) {
	a, hook := newAttrs(), littleAttrs()
	if !a.parse(b, 7) || !hook.parse(a.v[3], 3) {
		return "", f, fmt.Errorf("nf_tables flowtable: %w", errMalformed)
	}
	r, in := values{attrs: &a}, values{attrs: &hook}
	table = r.str(1)
	f = snap.Flowtable{
		Name: r.str(2), Handle: r.u64(5), HW: r.u32(7)&1 != 0,
		Priority: int32(in.u32(2)), Devices: in.devices(3),
	}
	if r.bad || in.bad || table == "" || f.Name == "" {
		return table, f, fmt.Errorf("nf_tables flowtable %q: %w", f.Name, errMalformed)
	}
	return table, f, nil
}
