package kernel

import (
	"context"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxConntrack is how many entries are kept by default: nf_conntrack_max of a
// host with 8 GB, some 60 MB here.
const maxConntrack = 262144

// Numbers of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctGet           = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET
	sizeofNfgenmsg  = 4
	ctaTupleOrig    = 1
	ctaTupleReply   = 2
	ctaStatus       = 3
	ctaProtoinfo    = 4
	ctaHelp         = 5
	ctaTimeout      = 7
	ctaMark         = 8
	ctaID           = 12
	ctaZone         = 18
	ctaTupleIP      = 1
	ctaTupleProto   = 2
	ctaProtoNum     = 1
	ctaSrcPort      = 2
	ctaDstPort      = 3
	ctaICMPID       = 4
	ctaICMPType     = 5
	ctaICMPCode     = 6
	ctaICMPv6ID     = 7
	ctaICMPv6Type   = 8
	ctaICMPv6Code   = 9
	ctaProtoinfoTCP = 1
	ctaTCPState     = 1
)

// readConntrack dumps the connection tracking table of both families, at most
// limit entries; more says that there were more.
func (r *requester) readConntrack(ctx context.Context, limit int) (list []snap.Conn, more bool, err error) {
	err = r.dump(ctx, "conntrack", ctGet, body(sizeofNfgenmsg, unix.AF_UNSPEC), func() { list, more = nil, false }, func(m message) {
		if len(list) >= limit {
			more = true
			return
		}
		if c, ok := decodeConn(m.data); ok {
			list = append(list, c)
		}
	})
	return list, more, err
}

// decodeConn decodes one entry (net/netfilter/nf_conntrack_netlink.c:
// ctnetlink_fill_info).
func decodeConn(b []byte) (c snap.Conn, ok bool) {
	if len(b) < sizeofNfgenmsg {
		return c, false
	}
	fam, ok := ipFamily(b[0])
	if !ok {
		return c, false
	}
	c.Family = fam
	for t, v := range rtattrs(b[sizeofNfgenmsg:]) {
		switch t {
		case ctaTupleOrig:
			c.Orig, c.Proto = decodeTuple(v)
		case ctaTupleReply:
			c.Reply, _ = decodeTuple(v)
		case ctaStatus:
			c.Status = ctStatus(be32of(v))
		case ctaProtoinfo:
			for t, v := range rtattrs(v) {
				if t != ctaProtoinfoTCP {
					continue
				}
				for t, v := range rtattrs(v) {
					if t == ctaTCPState {
						c.TCPState = ctTCPState(u8of(v))
					}
				}
			}
		case ctaHelp:
			for t, v := range rtattrs(v) {
				if t == 1 { // CTA_HELP_NAME
					c.Helper = strOf(v)
				}
			}
		case ctaTimeout:
			c.TimeoutMs = int64(be32of(v)) * 1000
		case ctaMark:
			c.Mark = be32of(v)
		case ctaID:
			c.ID = be32of(v)
		case ctaZone:
			c.Zone = be16of(v)
		}
	}
	return c, c.Orig.Src.Addr().IsValid() && c.Reply.Src.Addr().IsValid()
}

// decodeTuple reads one direction; of ICMP the id is the source's port, type
// and code the destination's, as snap.Tuple says.
func decodeTuple(b []byte) (snap.Tuple, uint8) {
	var src, dst netip.Addr
	var sport, dport uint16
	var proto uint8
	for t, v := range rtattrs(b) {
		switch t {
		case ctaTupleIP:
			for t, v := range rtattrs(v) {
				switch t { // CTA_IP_V4_SRC, V4_DST, V6_SRC, V6_DST
				case 1, 3:
					src = ipOf(v)
				case 2, 4:
					dst = ipOf(v)
				}
			}
		case ctaTupleProto:
			for t, v := range rtattrs(v) {
				switch t {
				case ctaProtoNum:
					proto = u8of(v)
				case ctaSrcPort, ctaICMPID, ctaICMPv6ID:
					sport = be16of(v)
				case ctaDstPort:
					dport = be16of(v)
				case ctaICMPType, ctaICMPv6Type:
					dport |= uint16(u8of(v)) << 8
				case ctaICMPCode, ctaICMPv6Code:
					dport |= uint16(u8of(v))
				}
			}
		}
	}
	return snap.Tuple{Src: netip.AddrPortFrom(src, sport), Dst: netip.AddrPortFrom(dst, dport)}, proto
}

// ctStatus names linux/netfilter/nf_conntrack_common.h: IPS_*.
func ctStatus(v uint32) []string {
	return bitNames(v, []bitName[uint32]{
		{1 << 0, "expected"},
		{1 << 1, "seen-reply"},
		{1 << 2, "assured"},
		{1 << 3, "confirmed"},
		{1 << 4, "snat"},
		{1 << 5, "dnat"},
		{1 << 9, "dying"},
		{1 << 10, "fixed-timeout"},
		{1 << 13, "helper"},
		{1 << 14, "offload"},
	})
}

// ctTCPState names linux/netfilter/nf_conntrack_tcp.h: enum tcp_conntrack.
func ctTCPState(n uint8) string {
	names := [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}
	if int(n) < len(names) {
		return names[n]
	}
	return strconv.Itoa(int(n))
}
