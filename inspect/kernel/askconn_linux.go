package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

const nlaNested = 1 << 15 // NLA_F_NESTED

// AskConns fills in the entries that conntrack of a namespace has of these flows
// of TCP and UDP, each looked up by its first direction (IPCTNL_MSG_CT_GET).
func AskConns(ctx context.Context, h *ns.Handle, list []*snap.Tracked) error {
	return h.Do(func() error {
		r, err := dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer r.close()
		for _, t := range list {
			if ctx.Err() != nil {
				return fmt.Errorf("asking conntrack: %w", snap.ErrTimeout)
			}
			m, err := r.ask(ctGet, connRequest(t.Proto, t.Asked))
			switch {
			case errors.Is(err, unix.ENOENT):
				continue
			case err != nil:
				return NetlinkError("asking conntrack", err)
			}
			if c, ok := decodeConn(m.data); ok {
				t.Conn = &c
			}
		}
		return nil
	})
}

// connRequest is struct nfgenmsg and the tuple (ctnetlink_parse_tuple).
func connRequest(proto uint8, t snap.Tuple) []byte {
	src, dst := t.Src.Addr(), t.Dst.Addr()
	fam, srcAttr, dstAttr := uint8(unix.AF_INET), uint16(1), uint16(2) // CTA_IP_V4_SRC, V4_DST
	if src.Is6() {
		fam, srcAttr, dstAttr = unix.AF_INET6, 3, 4
	}
	ip := put(put(nil, srcAttr, src.AsSlice()), dstAttr, dst.AsSlice())
	p := put(nil, ctaProtoNum, []byte{proto})
	p = put(p, ctaSrcPort, binary.BigEndian.AppendUint16(nil, t.Src.Port()))
	p = put(p, ctaDstPort, binary.BigEndian.AppendUint16(nil, t.Dst.Port()))
	tuple := put(put(nil, ctaTupleIP|nlaNested, ip), ctaTupleProto|nlaNested, p)
	return put(body(sizeofNfgenmsg, fam), ctaTupleOrig|nlaNested, tuple)
}
