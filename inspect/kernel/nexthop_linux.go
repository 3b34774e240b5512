package kernel

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	sizeofNHMsg = 8  // struct nhmsg: family, scope, protocol, reserved, flags
	nhaFDB      = 11 // linux/nexthop.h: NHA_FDB
)

// readNexthops dumps the nexthop objects; a kernel before 5.3 has none.
func (r *requester) readNexthops(ctx context.Context) ([]snap.NexthopObject, error) {
	var out []snap.NexthopObject
	err := r.dump(ctx, "nexthops", unix.RTM_GETNEXTHOP, body(sizeofNHMsg, unix.AF_UNSPEC), func() { out = nil }, func(m message) {
		if n, ok := decodeNexthop(m.data); ok {
			out = append(out, n)
		}
	})
	if errors.Is(err, snap.ErrUnsupported) {
		return nil, nil
	}
	return out, err
}

// decodeNexthop decodes one RTM_NEWNEXTHOP (net/ipv4/nexthop.c:nh_fill_node).
func decodeNexthop(b []byte) (snap.NexthopObject, bool) {
	if len(b) < sizeofNHMsg {
		return snap.NexthopObject{}, false
	}
	n := snap.NexthopObject{}
	if f, ok := ipFamily(b[0]); ok {
		n.Family = f // groups have none
	}
	for t, v := range rtattrs(b[sizeofNHMsg:]) {
		switch t {
		case unix.NHA_ID:
			n.ID = u32of(v)
		case unix.NHA_OIF:
			n.Oif = intOf(v)
		case unix.NHA_GATEWAY:
			n.Gateway = ipOf(v)
		case unix.NHA_BLACKHOLE:
			n.Blackhole = true
		case nhaFDB:
			n.FDB = true
		case unix.NHA_GROUP: // list of struct nexthop_grp: id, weight less one, its high byte
			for ; len(v) >= 8; v = v[8:] {
				n.Group = append(n.Group, u32of(v))
				n.Weights = append(n.Weights, (int(v[4])|int(v[5])<<8)+1)
			}
		}
	}
	return n, n.ID != 0
}

// resolveNexthops fills in what routes that only name an object leave out.
func resolveNexthops(routes []snap.Route, objects []snap.NexthopObject) {
	if len(objects) == 0 {
		return
	}
	byID := make(map[uint32]*snap.NexthopObject, len(objects))
	for i := range objects {
		byID[objects[i].ID] = &objects[i]
	}
	for i := range routes {
		rt := &routes[i]
		o := byID[rt.NHID]
		if o == nil || rt.Oif != 0 || len(rt.Nexthops) > 0 {
			continue
		}
		switch {
		case o.Blackhole:
			rt.Type = "blackhole"
		case len(o.Group) == 0:
			rt.Oif = o.Oif
			if o.Gateway.IsValid() && snap.FamilyOf(o.Gateway) != rt.Family {
				rt.Via = o.Gateway
			} else {
				rt.Gateway = o.Gateway
			}
		default:
			for j, id := range o.Group {
				if m := byID[id]; m != nil {
					rt.Nexthops = append(rt.Nexthops, snap.Nexthop{Oif: m.Oif, Gateway: m.Gateway, Weight: o.Weights[j]})
				}
			}
		}
	}
}
