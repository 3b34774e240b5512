package apply

import (
	"context"
	"math"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ifaddr is struct ifaddrmsg.
func ifaddr(a snap.Addr, index int) attrs {
	p := a.Prefix
	if a.Peer.IsValid() {
		p = a.Peer
	}
	b := make(attrs, unix.SizeofIfAddrmsg)
	b[0] = family(a.Prefix.Addr().Is6())
	b[1] = uint8(p.Bits())
	b[3] = scope(a.Scope)
	copy(b[4:], u32s(uint32(index)))
	b.bytes(unix.IFA_LOCAL, a.Prefix.Addr().AsSlice())
	b.bytes(unix.IFA_ADDRESS, p.Addr().AsSlice())
	return b
}

func family(v6 bool) uint8 {
	if v6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// scope is RT_SCOPE_*.
func scope(s string) uint8 {
	switch s {
	case "site":
		return unix.RT_SCOPE_SITE
	case "link":
		return unix.RT_SCOPE_LINK
	case "host":
		return unix.RT_SCOPE_HOST
	case "nowhere":
		return unix.RT_SCOPE_NOWHERE
	}
	return unix.RT_SCOPE_UNIVERSE
}

// addrAdd adds the address exactly: ip(8) and libraries work out a broadcast
// address of their own.
func (m *machine) addrAdd(ctx context.Context, o *fixups.AddrAdd, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	a := o.Addr
	b := ifaddr(a, l.Index)
	if a.Prefix.Addr().Is4() {
		if a.Bcast.IsValid() {
			b.bytes(unix.IFA_BROADCAST, a.Bcast.AsSlice())
		}
		label := a.Label
		if label == "" {
			label = o.Dev
		}
		b.str(unix.IFA_LABEL, label)
	}
	flags := uint32(0)
	for name, bit := range map[string]uint32{
		"noprefixroute": unix.IFA_F_NOPREFIXROUTE, "nodad": unix.IFA_F_NODAD, "home": unix.IFA_F_HOMEADDRESS,
		"mngtmpaddr": unix.IFA_F_MANAGETEMPADDR, "mcautojoin": unix.IFA_F_MCAUTOJOIN,
	} {
		if a.Has(name) {
			flags |= bit
		}
	}
	if a.Prefix.Addr().Is6() && !a.Has("tentative") {
		// What had passed duplicate detection need not pass it again.
		flags |= unix.IFA_F_NODAD
	}
	b.u32(unix.IFA_FLAGS, flags)
	if a.ValidMs > 0 {
		b.bytes(unix.IFA_CACHEINFO, u32s(seconds(a.PreferredMs), seconds(a.ValidMs), 0, 0))
	}
	return m.route(ctx, o.Where, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b)
}

// seconds is a lifetime for struct ifa_cacheinfo; negative is forever.
func seconds(ms int64) uint32 {
	if ms < 0 {
		return math.MaxUint32
	}
	return uint32(ms / 1000)
}

func (m *machine) addrDel(ctx context.Context, o *fixups.AddrDel, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	return m.route(ctx, o.Where, unix.RTM_DELADDR, 0, ifaddr(snap.Addr{Prefix: o.Prefix, Peer: o.Peer}, l.Index))
}
