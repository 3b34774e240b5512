package kernel

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

// Numbers of linux/neighbour.h.
const (
	ndtaThresh3   = 4 // NDTA_THRESH3
	ndtaConfig    = 5 // NDTA_CONFIG, struct ndt_config
	ndtcEntries   = 4 // its offset of ndtc_entries
	sizeofNdtmsg  = 4
	ndtConfigSize = 8 // as far as it is read here
)

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
