package kernel

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/neighbour.h.
const (
	ndtaThresh3   = 4 // NDTA_THRESH3
	ndtaConfig    = 5 // NDTA_CONFIG, struct ndt_config
	ndtcEntries   = 4 // its offset of ndtc_entries
	sizeofNdtmsg  = 4
	ndtConfigSize = 8 // as far as it is read here
	ndtaParms     = 6 // NDTA_PARMS
	ndtpaIfindex  = 1 // NDTPA_IFINDEX
	ndtpaApp      = 9 // NDTPA_APP_PROBES
	ndtpaMcast    = 11
)

// readAskers puts down mcast_solicit of those devices by which the kernel asks nobody
// for a neighbour's address, and leaves that to no program (app_solicit) either: it is
// told here for less than by files (net/core/neighbour.c: neightbl_fill_param_info).
func (r *requester) readAskers(ctx context.Context, links []snap.Link, sysctls map[string]string) error {
	none := []string{}
	err := r.dump(ctx, "neighbour parameters", unix.RTM_GETNEIGHTBL, body(sizeofNdtmsg, unix.AF_UNSPEC), func() { none = none[:0] }, func(m message) {
		if len(m.data) < sizeofNdtmsg {
			return
		}
		fam, ok := ipFamily(m.data[0])
		for t, v := range rtattrs(m.data[sizeofNdtmsg:]) {
			if t&^nlaNested != ndtaParms || !ok {
				continue
			}
			var dev, app, mcast uint32 = 0, 1, 1
			for t, v := range rtattrs(v) {
				switch t {
				case ndtpaIfindex:
					dev = u32of(v)
				case ndtpaApp:
					app = u32of(v)
				case ndtpaMcast:
					mcast = u32of(v)
				}
			}
			for i := range links {
				if uint32(links[i].Index) == dev && app+mcast == 0 {
					none = append(none, snap.AsksKey(fam, links[i].Name))
				}
			}
		}
	})
	for _, key := range none {
		sysctls[key] = "0"
	}
	return err
}

// ReadNeighTable gives how many neighbour entries of IPv4 the kernel has, and from
// how many on it makes no more (gc_thresh3): both are of the whole machine, all
// its namespaces together (net/core/neighbour.c: neigh_alloc).
func ReadNeighTable(ctx context.Context, h *ns.Handle) (entries, limit int, err error) {
	err = h.Do(func() error {
		r, err := dial(unix.NETLINK_ROUTE, nil)
		if err != nil {
			return err
		}
		defer r.close()
		return r.dump(ctx, "neighbour tables", unix.RTM_GETNEIGHTBL, body(sizeofNdtmsg, unix.AF_INET), func() { entries, limit = 0, 0 }, func(m message) {
			if len(m.data) < sizeofNdtmsg || m.data[0] != unix.AF_INET {
				return
			}
			for t, v := range rtattrs(m.data[sizeofNdtmsg:]) {
				switch {
				case t == ndtaThresh3:
					limit = int(u32of(v))
				case t == ndtaConfig && len(v) >= ndtConfigSize:
					entries = int(u32of(v[ndtcEntries:]))
				}
			}
		})
	})
	return entries, limit, err
}
