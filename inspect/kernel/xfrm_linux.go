package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers and sizes of linux/xfrm.h, as 64-bit kernels and arm align them.
const (
	xfrmGetSA      = 0x12 // XFRM_MSG_GETSA
	xfrmGetPolicy  = 0x15 // XFRM_MSG_GETPOLICY
	xfrmGetDefault = 0x28 // XFRM_MSG_GETDEFAULT, since Linux 5.15

	xfrmaTmpl = 5  // XFRMA_TMPL
	xfrmaMark = 21 // XFRMA_MARK
	xfrmaIfID = 31 // XFRMA_IF_ID

	sizeofXfrmSelector = 56  // struct xfrm_selector
	sizeofXfrmPolicy   = 168 // struct xfrm_userpolicy_info
	sizeofXfrmSA       = 224 // struct xfrm_usersa_info
	sizeofXfrmTmpl     = 64  // struct xfrm_user_tmpl

	xfrmBlock    = 1                            // XFRM_POLICY_BLOCK, XFRM_USERPOLICY_BLOCK
	xfrmPolicyAt = sizeofXfrmSelector + 64 + 32 // behind the lifetimes
	xfrmSAReqID  = sizeofXfrmSelector + 24 + 16 + 64 + 32 + 12 + 4
)

// xfrmUser remembers whether the kernel has xfrm_user, for each of a thousand
// namespaces would be asked for the list of all netlink sockets there are. That it has
// it stays so; that it has not is asked again after a while, by who reads again.
var xfrmUser struct {
	sync.Mutex
	known bool
	at    time.Time
}

const xfrmAskAgain = time.Second

// knowsXfrm says whether xfrm_user is there. Opening a socket would make the kernel load
// it; it is told by the socket that it has itself in every namespace.
func knowsXfrm() bool {
	u := &xfrmUser
	u.Lock()
	defer u.Unlock()
	if u.known || time.Since(u.at) < xfrmAskAgain {
		return u.known
	}
	b, err := os.ReadFile("/proc/thread-self/net/netlink")
	u.at = time.Now()
	u.known = err == nil && slices.ContainsFunc(strings.Split(string(b), "\n"), func(l string) bool {
		f := strings.Fields(l)
		return len(f) > 1 && f[1] == strconv.Itoa(unix.NETLINK_XFRM)
	})
	return u.known
}

// readXfrm reads the policies and associations of IPsec; nil where there are none, or
// the kernel knows no IPsec.
func (rd *reader) readXfrm(ctx context.Context) (*snap.Xfrm, error) {
	if !knowsXfrm() {
		return nil, nil
	}
	r, err := dial(unix.NETLINK_XFRM, rd.buf)
	if err != nil {
		return nil, err
	}
	defer func() {
		rd.torn(r)
		r.close()
	}()
	var x snap.Xfrm
	err = r.dump(ctx, "IPsec policies", xfrmGetPolicy, nil, func() { x.Policies = nil }, func(m message) {
		if p, ok := decodeXfrmPolicy(m.data); ok {
			x.Policies = append(x.Policies, p)
		}
	})
	if err != nil {
		return nil, err
	}
	// struct xfrm_userpolicy_default: in, fwd, out. Older kernels don't know the question.
	if m, err := r.ask(xfrmGetDefault, make([]byte, 4)); err == nil {
		for i, dir := range []string{"in", "fwd", "out"} {
			if i < len(m.data) && m.data[i] == xfrmBlock {
				x.Block = append(x.Block, dir)
			}
		}
	}
	if len(x.Policies) == 0 && len(x.Block) == 0 {
		return nil, nil
	}
	err = r.dump(ctx, "IPsec associations", xfrmGetSA, nil, func() { x.States = nil }, func(m message) {
		if s, ok := decodeXfrmState(m.data); ok {
			x.States = append(x.States, s)
		}
	})
	if errors.Is(err, snap.ErrUnsupported) {
		err = nil
	}
	return &x, err
}

// decodeXfrmPolicy reads struct xfrm_userpolicy_info and its attributes
// (net/xfrm/xfrm_user.c: dump_one_policy). Policies of sockets are not asked for.
func decodeXfrmPolicy(b []byte) (snap.XfrmPolicy, bool) {
	var p snap.XfrmPolicy
	if len(b) < sizeofXfrmPolicy {
		return p, false
	}
	be := binary.BigEndian.Uint16
	var ok bool
	if p.Family, ok = ipFamily(uint8(u16of(b[40:]))); !ok {
		return p, false
	}
	six := p.Family == snap.IPv6
	p.Dst = netip.PrefixFrom(xfrmAddr(b, six), int(b[42]))
	p.Src = netip.PrefixFrom(xfrmAddr(b[16:], six), int(b[43]))
	p.Dport = [2]uint16{be(b[32:]), be(b[34:])}
	p.Sport = [2]uint16{be(b[36:]), be(b[38:])}
	p.Proto, p.Oif = b[44], intOf(b[48:])
	at := b[xfrmPolicyAt:]
	p.Priority, p.Index = u32of(at), u32of(at[4:])
	dirs := []string{"in", "out", "fwd"}
	if int(at[8]) >= len(dirs) {
		return p, false
	}
	p.Dir, p.Block = dirs[at[8]], at[9] == xfrmBlock
	for t, v := range rtattrs(b[sizeofXfrmPolicy:]) {
		switch t {
		case xfrmaMark:
			if len(v) >= 8 {
				p.Mark, p.Mask = u32of(v), u32of(v[4:])
			}
		case xfrmaIfID:
			p.IfID = u32of(v)
		case xfrmaTmpl:
			for ; len(v) >= sizeofXfrmTmpl; v = v[sizeofXfrmTmpl:] {
				six := u16of(v[24:]) == unix.AF_INET6
				p.Templates = append(p.Templates, snap.XfrmTemplate{
					Dst: xfrmAddr(v, six), SPI: binary.BigEndian.Uint32(v[16:]), Proto: xfrmProto(v[20]),
					Src: xfrmAddr(v[28:], six), ReqID: u32of(v[44:]), Mode: xfrmMode(v[48]), Optional: v[50] != 0,
				})
			}
		}
	}
	return p, p.Src.IsValid() && p.Dst.IsValid()
}

// decodeXfrmState reads struct xfrm_usersa_info; the attributes behind it, the keys
// among them, are not looked at.
func decodeXfrmState(b []byte) (snap.XfrmState, bool) {
	if len(b) < sizeofXfrmSA {
		return snap.XfrmState{}, false
	}
	id := b[sizeofXfrmSelector:] // struct xfrm_id: daddr, spi, proto; then saddr
	at := b[xfrmSAReqID:]
	six := u16of(at[4:]) == unix.AF_INET6
	return snap.XfrmState{
		Dst: xfrmAddr(id, six), SPI: binary.BigEndian.Uint32(id[16:]), Proto: xfrmProto(id[20]),
		Src: xfrmAddr(id[24:], six), ReqID: u32of(at), Mode: xfrmMode(at[6]),
	}, true
}

// xfrmAddr is an xfrm_address_t, which always takes 16 bytes.
func xfrmAddr(b []byte, six bool) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte(b[:16]))
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func xfrmProto(n uint8) string {
	switch n {
	case unix.IPPROTO_ESP:
		return "esp"
	case unix.IPPROTO_AH:
		return "ah"
	case unix.IPPROTO_COMP:
		return "comp"
	}
	return strconv.Itoa(int(n))
}

func xfrmMode(n uint8) string {
	if names := []string{"transport", "tunnel", "ro", "in_trigger", "beet", "iptfs"}; int(n) < len(names) {
		return names[n]
	}
	return strconv.Itoa(int(n))
}
