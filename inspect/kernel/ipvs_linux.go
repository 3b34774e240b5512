package kernel

import (
	"context"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/ip_vs.h.
const (
	ipvsGetService  = 4 // IPVS_CMD_GET_SERVICE
	ipvsGetDest     = 8 // IPVS_CMD_GET_DEST
	ipvsAttrService = 1 // IPVS_CMD_ATTR_SERVICE
	ipvsAttrDest    = 2
	ipvsSvcAF       = 1
	ipvsSvcProto    = 2
	ipvsSvcAddr     = 3
	ipvsSvcPort     = 4
	ipvsSvcFWMark   = 5
	ipvsSvcSched    = 6
	ipvsDestAddr    = 1
	ipvsDestPort    = 2
	ipvsDestMethod  = 3
	ipvsDestWeight  = 4
	ipvsDestAF      = 11
	ipvsMethodMask  = 7 // IP_VS_CONN_F_FWD_MASK
	sizeofGenlHead  = 4
)

// readIPVS reads the virtual services. Where IPVS is not loaded there are
// none: asking for it would make the kernel load it.
func readIPVS(ctx context.Context) ([]snap.IPVSService, error) {
	if _, err := os.Stat("/proc/thread-self/net/ip_vs"); err != nil {
		return nil, nil
	}
	r, err := dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	m, err := r.ask(unix.GENL_ID_CTRL, put([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, unix.CTRL_ATTR_FAMILY_NAME, []byte("IPVS\x00")))
	if err != nil {
		return nil, NetlinkError("asking for IPVS", err)
	}
	family := genlFamily(m.data)
	var out []snap.IPVSService
	var raw [][]byte // each service as the kernel sent it: what its servers are asked by
	err = r.dump(ctx, "IPVS services", family, []byte{ipvsGetService, 1, 0, 0}, func() { out, raw = nil, nil }, func(m message) {
		for t, v := range rtattrs(m.data[min(len(m.data), sizeofGenlHead):]) {
			if t == ipvsAttrService {
				out = append(out, decodeIPVSService(v))
				raw = append(raw, append([]byte(nil), v...))
			}
		}
	})
	for i := range raw {
		if err != nil {
			break
		}
		s := &out[i]
		req := put([]byte{ipvsGetDest, 1, 0, 0}, ipvsAttrService|unix.NLA_F_NESTED, raw[i])
		err = r.dump(ctx, "IPVS servers", family, req, func() { s.Dests = []snap.IPVSDest{} }, func(m message) {
			for t, v := range rtattrs(m.data[min(len(m.data), sizeofGenlHead):]) {
				if t == ipvsAttrDest {
					s.Dests = append(s.Dests, decodeIPVSDest(v, s.Family))
				}
			}
		})
	}
	return out, err
}

// genlFamily is the number of the family in the controller's answer.
func genlFamily(b []byte) uint16 {
	for t, v := range rtattrs(b[min(len(b), sizeofGenlHead):]) {
		if t == unix.CTRL_ATTR_FAMILY_ID {
			return u16of(v)
		}
	}
	return 0
}

// decodeIPVSService reads net/netfilter/ipvs/ip_vs_ctl.c:ip_vs_genl_fill_service.
// Addresses always take 16 bytes, ports are big-endian.
func decodeIPVSService(b []byte) snap.IPVSService {
	s := snap.IPVSService{Dests: []snap.IPVSDest{}}
	var addr []byte
	var port uint16
	for t, v := range rtattrs(b) {
		switch t {
		case ipvsSvcAF:
			s.Family, _ = ipFamily(uint8(u16of(v)))
		case ipvsSvcProto:
			s.Proto = uint8(u16of(v))
		case ipvsSvcAddr:
			addr = v
		case ipvsSvcPort:
			port = be16of(v)
		case ipvsSvcFWMark:
			s.FWMark = u32of(v)
		case ipvsSvcSched:
			s.Sched = strOf(v)
		}
	}
	if s.FWMark == 0 {
		s.Addr = netip.AddrPortFrom(ipvsAddr(addr, s.Family), port)
	}
	return s
}

func decodeIPVSDest(b []byte, fam snap.Family) snap.IPVSDest {
	var d snap.IPVSDest
	var addr []byte
	var port uint16
	for t, v := range rtattrs(b) {
		switch t {
		case ipvsDestAF:
			if f, ok := ipFamily(uint8(u16of(v))); ok {
				fam = f
			}
		case ipvsDestAddr:
			addr = v
		case ipvsDestPort:
			port = be16of(v)
		case ipvsDestWeight:
			d.Weight = intOf(v)
		case ipvsDestMethod:
			names := [...]string{"masq", "local", "tunnel", "route"}
			if n := int(u32of(v) & ipvsMethodMask); n < len(names) {
				d.Method = names[n]
			} else {
				d.Method = "bypass"
			}
		}
	}
	d.Addr = netip.AddrPortFrom(ipvsAddr(addr, fam), port)
	return d
}

func ipvsAddr(b []byte, fam snap.Family) netip.Addr {
	if fam == snap.IPv4 && len(b) >= 4 {
		return ipOf(b[:4])
	}
	return ipOf(b)
}
