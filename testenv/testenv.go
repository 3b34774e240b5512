// Package testenv builds networks and containers of its own, as Docker's daemon
// would, without a daemon: Up, Run, Attach, Detach, Exec, Status, Check and Down
// on one host. What is built is chosen here (names, addresses), planned by
// testenv/driver, carried out by fixups/apply, and remembered by testenv/store.
package testenv

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/ipam"
	"github.com/netdoctor/netdoctor/testenv/spec"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// newID is a random id of 64 hexadecimal digits, as engines have them. It is
// never a number only: the first 12 digits are a host name, too.
func newID() string {
	b := make([]byte, 32)
	for {
		_, _ = rand.Read(b) // never fails (crypto/rand)
		id := hex.EncodeToString(b)
		if strings.ContainsAny(id[:12], "abcdef") {
			return id
		}
	}
}

// newMAC is a random, locally administered address.
func newMAC() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	b[0] = b[0]&0xfc | 2
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

// surroundings are what the host has already, as far as choosing needs it.
type surroundings struct {
	reserved []netip.Prefix // on-link routes and name servers
	routed   []netip.Prefix // routes behind gateways
	devices  map[string]bool
	resolv   hostResolv
}

// chooser chooses names and addresses for what a spec asks for.
type chooser struct {
	st  *store.State
	dir store.Dir
	sur surroundings
	// warnings are for people: nothing is wrong, and something may be.
	warnings []string
}

// text is a spec's part as it is compared with a later one.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // plain values with nothing that JSON lacks
		panic(fmt.Sprintf("spec of %T: %v", v, err))
	}
	return string(b)
}

func (c *chooser) seq() int {
	c.st.Env.Seq++
	return c.st.Env.Seq
}

func (c *chooser) used() []netip.Prefix {
	var out []netip.Prefix
	for i := range c.st.Networks {
		for _, p := range c.st.Networks[i].Net.Pools {
			out = append(out, p.Subnet)
		}
	}
	return out
}

// network chooses what a network's spec leaves open.
func (c *chooser) network(want *spec.Network) (*driver.Network, error) {
	id := newID()
	opt := func(k string) string { return want.Options["com.docker.network."+k] }
	n := &driver.Network{OwnNetwork: snap.OwnNetwork{Seq: c.seq()}, Spec: text(want), Net: snap.Network{
		Ref: driver.Engine + ":" + want.Name, Engine: driver.Engine, ID: id, Name: want.Name, Driver: want.Driver, Scope: "local",
		Internal: want.Internal, IPv6: want.IPv6, ICC: opt("bridge.enable_icc") != "false", Masquerade: opt("bridge.enable_ip_masquerade") != "false",
		GatewayMode4: opt("bridge.gateway_mode_ipv4"), GatewayMode6: opt("bridge.gateway_mode_ipv6"), Default: want.Default, DNS: !want.Default,
		Options: map[string]string{},
	}}
	maps.Copy(n.Net.Options, want.Options)
	if v, err := strconv.ParseBool(opt("bridge.enable_icc")); err == nil {
		n.Net.ICC = v
	}
	if v, err := strconv.ParseBool(opt("bridge.enable_ip_masquerade")); err == nil {
		n.Net.Masquerade = v
	}
	if v, err := strconv.Atoi(opt("driver.mtu")); err == nil {
		n.Net.MTU = v
	}
	n.Prefix = opt("container_iface_prefix")
	for at, to := range map[string]*netip.Addr{opt("bridge.host_binding_ipv4"): &n.Net.HostBindIP, opt("host_ipv4"): &n.SNAT, want.Options["local"]: &n.Local} {
		if a, err := netip.ParseAddr(at); err == nil {
			*to = a
		}
	}
	if v := opt("bridge.trusted_host_interfaces"); v != "" {
		n.Trusted = strings.Split(v, ":")
	}
	switch want.Driver {
	case "bridge":
		n.Net.Bridge = "nd-" + id[:12]
		if want.Default {
			n.Net.Bridge = "netdoctor0"
		}
		if v := opt("bridge.name"); v != "" {
			n.Net.Bridge = v
		}
		n.MAC = newMAC()
	case "macvlan", "ipvlan":
		c.parent(n, want)
	case "overlay":
		c.overlay(n, want)
	}
	for i := range c.st.Networks {
		if x := &c.st.Networks[i]; n.Net.Bridge != "" && x.Net.Bridge == n.Net.Bridge {
			return nil, fmt.Errorf("network %s: bridge %s is that of network %s", want.Name, n.Net.Bridge, x.Net.Name)
		}
	}
	return n, c.pools(n, want)
}

func (c *chooser) parent(n *driver.Network, want *spec.Network) {
	n.Net.Parent, n.Net.Mode = want.Options["parent"], want.Options["macvlan_mode"]
	if n.Net.Mode == "" {
		n.Net.Mode = "bridge"
		if want.Driver == "ipvlan" {
			n.Net.Mode = "l2"
		}
	}
	if n.Net.Parent == "" {
		n.Net.Parent = "dm-" + n.Net.ID[:12]
	}
	if _, vid, ok := strings.Cut(n.Net.Parent, "."); ok {
		if v, err := strconv.Atoi(vid); err == nil && v > 0 && v < 4095 {
			n.Net.Options["netdoctor.vid"] = vid
		}
	}
}

// overlay gives VNIs from 4097 on (4096 is the ingress network's in a swarm).
func (c *chooser) overlay(n *driver.Network, want *spec.Network) {
	n.Net.Scope, n.Peers = "swarm", want.Peers
	n.Net.VNI = 4097
	for i := range c.st.Networks {
		n.Net.VNI = max(n.Net.VNI, c.st.Networks[i].Net.VNI+1)
	}
	if v, err := strconv.ParseUint(want.Options["com.docker.network.driver.overlay.vxlanid_list"], 10, 24); err == nil {
		n.Net.VNI = uint32(v)
	}
	if n.Net.MTU == 0 {
		n.Net.MTU = 1450
	}
}

// pools chooses subnets and gateways.
func (c *chooser) pools(n *driver.Network, want *spec.Network) error {
	v4, v6 := false, false
	used := c.used()
	for _, p := range want.Pools {
		if o, hit := ipam.Overlap(p.Subnet, used); hit {
			return fmt.Errorf("network %s: subnet %s overlaps %s of another network", want.Name, p.Subnet, o)
		}
		// A macvlan's containers are neighbours of the host: it mostly has the very
		// subnet of the device that it sits on.
		beside := want.Driver == "macvlan" || want.Driver == "ipvlan"
		if o, hit := ipam.Overlap(p.Subnet, c.sur.reserved); hit && !beside {
			return fmt.Errorf("network %s: subnet %s overlaps %s, which this host reaches directly", want.Name, p.Subnet, o)
		}
		c.behind(want.Name, p.Subnet)
		if err := c.pool(n, snap.Pool{Subnet: p.Subnet, Range: p.Range, Gateway: p.Gateway, Aux: p.Aux}); err != nil {
			return fmt.Errorf("network %s: %w", want.Name, err)
		}
		v4, v6 = v4 || p.Subnet.Addr().Is4(), v6 || p.Subnet.Addr().Is6()
	}
	taken := append(used, c.sur.reserved...)
	if !v4 {
		pools := ipam.LocalPools()
		if want.Driver == "overlay" {
			pools = ipam.GlobalPools()
			taken = append(taken, netip.MustParsePrefix("10.0.0.0/24")) // the ingress network's in a swarm
		}
		p, err := ipam.Next(ipam.Sorted(pools), taken)
		if err != nil {
			return fmt.Errorf("network %s: %w", want.Name, err)
		}
		c.behind(want.Name, p)
		if err := c.pool(n, snap.Pool{Subnet: p}); err != nil {
			return fmt.Errorf("network %s: %w", want.Name, err)
		}
	}
	if want.IPv6 && !v6 {
		// A unique local /48 of this environment (RFC 4193), a /64 for each network.
		p, err := ipam.Next([]ipam.Pool{{Base: ula(c.st.Env.Env.Name), Size: 64}}, taken)
		if err == nil {
			err = c.pool(n, snap.Pool{Subnet: p})
		}
		if err != nil {
			return fmt.Errorf("network %s: %w", want.Name, err)
		}
	}
	return nil
}

// ula is made of the environment's name, so that it is the same every time.
func ula(name string) netip.Prefix {
	b := [16]byte{0: 0xfd}
	h := uint64(14695981039346656037) // FNV-1a
	for _, x := range []byte("netdoctor:" + name) {
		h = (h ^ uint64(x)) * 1099511628211
	}
	for i := range 5 {
		b[1+i] = byte(h >> (8 * i))
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), 48)
}

// behind warns of a route behind a gateway that the subnet covers: Docker
// doesn't look at them, and what lies there is out of reach from then on.
func (c *chooser) behind(name string, p netip.Prefix) {
	if o, hit := ipam.Overlap(p, c.sur.routed); hit {
		c.warnings = append(c.warnings, fmt.Sprintf("network %s takes %s, which overlaps the route to %s behind a gateway: what lies there can't be reached from this host any more", name, p, o))
	}
}

func (c *chooser) pool(n *driver.Network, p snap.Pool) error {
	if p.Gateway.IsValid() {
		n.GatewayGiven = true
	} else {
		aux := map[netip.Addr]bool{}
		for _, a := range p.Aux {
			aux[a] = true
		}
		g, err := (ipam.Subnet{Prefix: p.Subnet}).First(func(a netip.Addr) bool { return aux[a] })
		if err != nil {
			return err
		}
		p.Gateway = g
	}
	n.Net.Pools = append(n.Net.Pools, p)
	return nil
}

// reserved is never nil: nil means that the host was not looked at yet.
func reserved(servers []netip.Addr, onLink []netip.Prefix) []netip.Prefix {
	return append([]netip.Prefix{}, ipam.Reserved(servers, onLink)...)
}
