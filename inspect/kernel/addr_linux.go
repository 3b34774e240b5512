package kernel

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// readAddrs dumps the addresses of both families.
func (r *requester) readAddrs(ctx context.Context) ([]snap.Addr, error) {
	var out []snap.Addr
	err := r.dump(ctx, "addresses", unix.RTM_GETADDR, body(unix.SizeofIfAddrmsg, unix.AF_UNSPEC), func() { out = nil }, func(m message) {
		if a, ok := decodeAddr(m.data); ok {
			out = append(out, a)
		}
	})
	return out, err
}

// decodeAddr decodes one RTM_NEWADDR of IPv4 or IPv6.
func decodeAddr(b []byte) (snap.Addr, bool) {
	if len(b) < unix.SizeofIfAddrmsg || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return snap.Addr{}, false
	}
	bits, flags := b[1], uint32(b[2])
	a := snap.Addr{Index: intOf(b[4:]), Scope: scopeName(b[3]), ValidMs: -1, PreferredMs: -1}
	var local, address netip.Prefix
	for t, v := range rtattrs(b[unix.SizeofIfAddrmsg:]) {
		switch t {
		case unix.IFA_LOCAL:
			local = prefixOf(v, bits)
		case unix.IFA_ADDRESS:
			address = prefixOf(v, bits)
		case unix.IFA_BROADCAST:
			a.Bcast = ipOf(v)
		case unix.IFA_LABEL:
			a.Label = strOf(v)
		case unix.IFA_FLAGS:
			flags = u32of(v)
		case unix.IFA_CACHEINFO: // struct ifa_cacheinfo: preferred and valid in seconds, all ones is forever
			if len(v) >= 8 {
				a.PreferredMs, a.ValidMs = lifetimeMs(u32of(v)), lifetimeMs(u32of(v[4:]))
			}
		}
	}
	// With a peer IFA_ADDRESS is the other end's; without IFA_LOCAL (IPv6) it is
	// our own (net/ipv6/addrconf.c:inet6_fill_ifaddr).
	a.Prefix = local
	if !local.IsValid() {
		a.Prefix = address
	} else if address != local {
		a.Peer = address
	}
	a.Flags = bitNames(flags, addrFlags(b[0]))
	return a, a.Prefix.IsValid()
}

func lifetimeMs(s uint32) int64 {
	if s == ^uint32(0) {
		return -1
	}
	return int64(s) * 1000
}

// addrFlags names linux/if_addr.h: IFA_F_*. The first bit means "secondary"
// for IPv4 and "temporary" for IPv6.
func addrFlags(family uint8) []bitName[uint32] {
	first := "secondary"
	if family == unix.AF_INET6 {
		first = "temporary"
	}
	return []bitName[uint32]{
		{unix.IFA_F_SECONDARY, first},
		{unix.IFA_F_NODAD, "nodad"},
		{unix.IFA_F_OPTIMISTIC, "optimistic"},
		{unix.IFA_F_DADFAILED, "dadfailed"},
		{unix.IFA_F_HOMEADDRESS, "home"},
		{unix.IFA_F_DEPRECATED, "deprecated"},
		{unix.IFA_F_TENTATIVE, "tentative"},
		{unix.IFA_F_PERMANENT, "permanent"},
		{unix.IFA_F_MANAGETEMPADDR, "mngtmpaddr"},
		{unix.IFA_F_NOPREFIXROUTE, "noprefixroute"},
		{unix.IFA_F_MCAUTOJOIN, "autojoin"},
		{unix.IFA_F_STABLE_PRIVACY, "stable-privacy"},
	}
}
