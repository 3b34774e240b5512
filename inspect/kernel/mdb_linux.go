package kernel

import (
	"context"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Attributes of linux/if_bridge.h that the library has no names for.
const (
	querierIPv4 = 1 // BRIDGE_QUERIER_IP_ADDRESS
	querierIPv6 = 5 // BRIDGE_QUERIER_IPV6_ADDRESS

	mdbaMDB       = 1 // MDBA_MDB
	mdbaRouter    = 2 // MDBA_ROUTER
	mdbaEntry     = 1 // MDBA_MDB_ENTRY
	mdbaEntryInfo = 1 // MDBA_MDB_ENTRY_INFO
	mdbaPort      = 1 // MDBA_ROUTER_PORT
)

// readMDB dumps which ports of which bridges asked for which multicast groups, and
// behind which there are multicast routers (net/bridge/br_mdb.c: br_mdb_dump).
func (r *requester) readMDB(ctx context.Context) ([]snap.MDBEntry, error) {
	var out []snap.MDBEntry
	err := r.dump(ctx, "multicast groups of bridges", unix.RTM_GETMDB, body(8, unix.AF_BRIDGE), func() { out = nil }, func(m message) {
		if len(m.data) < 8 { // struct br_port_msg
			return
		}
		br := int(binary.NativeEndian.Uint32(m.data[4:]))
		for t, v := range rtattrs(m.data[8:]) {
			for kind, entry := range rtattrs(v) {
				switch {
				case t == mdbaMDB && kind == mdbaEntry:
					for k, info := range rtattrs(entry) {
						if e, ok := decodeMDB(info); ok && k == mdbaEntryInfo {
							e.Bridge = br
							out = append(out, e)
						}
					}
				case t == mdbaRouter && kind == mdbaPort && len(entry) >= 4:
					out = append(out, snap.MDBEntry{Bridge: br, Port: int(binary.NativeEndian.Uint32(entry)), Router: true})
				}
			}
		}
	})
	return out, err
}

// decodeMDB reads a struct br_mdb_entry: ifindex, state, flags, VLAN, address, its
// ethertype.
func decodeMDB(b []byte) (snap.MDBEntry, bool) {
	if len(b) < 28 {
		return snap.MDBEntry{}, false
	}
	e := snap.MDBEntry{Port: int(binary.NativeEndian.Uint32(b)), Vlan: int(binary.NativeEndian.Uint16(b[6:]))}
	switch binary.BigEndian.Uint16(b[24:]) {
	case unix.ETH_P_IP:
		e.IP = netip.AddrFrom4([4]byte(b[8:12]))
	case unix.ETH_P_IPV6:
		e.IP = netip.AddrFrom16([16]byte(b[8:24]))
	default:
		return e, false
	}
	return e, true
}
