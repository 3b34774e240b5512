package walk

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// UserDst is where the program connects to for what left by its device; invalid when
// that is not known, with why when it goes nowhere.
func UserDst(s *snap.Snapshot, n *snap.Netns, dev *snap.Link, at netip.AddrPort) (to netip.AddrPort, why string) {
	p := dev.Reader
	is := func(option string) bool {
		v, _ := p.Arg(option)
		a, err := netip.ParseAddr(v)
		return err == nil && a == at.Addr()
	}
	here := func(a netip.Addr) (netip.AddrPort, string) { return netip.AddrPortFrom(a, at.Port()), "" }
	loop := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at.Addr().Is6() {
		loop = netip.IPv6Loopback()
	}
	if p.Name == "slirp4netns" {
		net, host := netip.Addr{}, uint64(0)
		for _, a := range n.AddrsOf(dev.Index) { // 10.0.2.0/24 or --cidr, fd00::/64
			if a.Prefix.Contains(at.Addr()) {
				net, host = a.Prefix.Masked().Addr(), lowBits(at.Addr(), a.Prefix.Bits())
			}
		}
		_, alone := p.Arg("--disable-host-loopback")
		_, mute := p.Arg("--disable-dns")
		switch {
		case !net.IsValid():
			return at, ""
		case host == 3 && at.Port() == 53 && !mute:
			return hostServer(s, at)
		case host == 2 && at.Port() == 0, host == 3:
			return netip.AddrPort{}, "" // it answers itself
		case host == 2 && alone:
			return netip.AddrPort{}, fmt.Sprintf("was started with --disable-host-loopback: %s does not lead to the host", at.Addr())
		case host == 2:
			return here(loop)
		}
		return netip.AddrPort{}, fmt.Sprintf("has nobody at %s: its network is its own", at.Addr())
	}
	_, noGateway := p.Arg("--no-map-gw")
	_, mapped := p.Arg("--map-host-loopback")
	switch {
	case is("--dns-forward") && at.Port() == 53:
		return hostServer(s, at)
	case is("--map-guest-addr"):
		for _, a := range n.AddrsOf(dev.Index) {
			if a.Prefix.Addr().Is4() == at.Addr().Is4() && !a.Prefix.Addr().IsLinkLocalUnicast() {
				return here(a.Prefix.Addr())
			}
		}
		return netip.AddrPort{}, ""
	case is("--map-host-loopback"):
		return here(loop)
	case !noGateway && !mapped && slices.ContainsFunc(n.Routes, func(r snap.Route) bool { return r.Dst.Bits() == 0 && r.Gateway == at.Addr() }):
		return here(loop)
	}
	return at, ""
}

// lowBits are the bits of an address behind its network, as far as they fit.
func lowBits(a netip.Addr, bits int) (n uint64) {
	b := a.AsSlice()
	for i, x := range b {
		if keep := bits - 8*i; keep < 8 {
			n = n<<8 | uint64(x&byte(0xff>>max(keep, 0)))
		}
	}
	return n
}

// hostServer is the host's first name server of the family, to which the program hands
// questions on; as far as the host's own file tells.
func hostServer(s *snap.Snapshot, at netip.AddrPort) (netip.AddrPort, string) {
	if r := s.Resolver("host"); r != nil {
		for _, a := range r.ResolvConf.Nameservers {
			if a.Is4() == at.Addr().Is4() {
				return netip.AddrPortFrom(a, at.Port()), ""
			}
		}
	}
	return netip.AddrPort{}, ""
}

// PingGroups is the range of groups that may send echo requests without privilege, and
// whether a process has one of them (icmp(7)); ok is false where that is not known.
func PingGroups(n *snap.Netns, p *snap.Process) (text string, may, ok bool) {
	v, _ := n.Sysctl("net/ipv4/ping_group_range")
	f := strings.Fields(v)
	if len(f) != 2 || len(p.Groups) == 0 {
		return "", false, false
	}
	lo, err := strconv.Atoi(f[0])
	hi, err2 := strconv.Atoi(f[1])
	may = slices.ContainsFunc(p.Groups, func(g int) bool { return lo <= g && g <= hi })
	return f[0] + " " + f[1], may, err == nil && err2 == nil
}

// ForwardsTo is the container of a user's own engine that publishes the port at which a
// socket is, and its port there; nil where several do, or none.
func ForwardsTo(snapshot *snap.Snapshot, s *snap.Socket) (found *snap.Container, port uint16) {
	at := s.Local.Addr().Unmap()
	for i := range snapshot.Containers {
		c := &snapshot.Containers[i]
		if e := snapshot.Engine(c.Engine); e == nil || !e.Rootless || !c.Running() {
			continue
		}
		for _, p := range c.Ports {
			if p.Proto != s.Proto || p.HostPort != s.Local.Port() || !at.IsUnspecified() && !p.HostIP.IsUnspecified() && p.HostIP != at {
				continue
			}
			if found != nil && found != c {
				return nil, 0
			}
			found, port = c, p.ContainerPort
		}
	}
	return found, port
}
