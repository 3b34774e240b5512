package spec

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/testenv/ipam"
)

// nameRule is what Docker takes for names (moby daemon/names/names.go); it has
// no path parts, no controls and no leading "-".
var nameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)

var macRule = regexp.MustCompile(`^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$`)

// Name says whether a text can name a container or a network.
func Name(s string) bool { return nameRule.MatchString(s) }

// Options of networks that are known, by driver.
func knownOptions(driver string) []string {
	switch driver {
	case "bridge":
		return []string{
			"com.docker.network.bridge.name", "com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade",
			"com.docker.network.bridge.host_binding_ipv4", "com.docker.network.bridge.gateway_mode_ipv4",
			"com.docker.network.bridge.gateway_mode_ipv6", "com.docker.network.bridge.trusted_host_interfaces",
			"com.docker.network.driver.mtu", "com.docker.network.host_ipv4", "com.docker.network.container_iface_prefix",
		}
	case "macvlan":
		return []string{"parent", "macvlan_mode", "com.docker.network.driver.mtu"}
	case "overlay":
		return []string{"com.docker.network.driver.overlay.vxlanid_list", "com.docker.network.driver.mtu", "local"}
	}
	return nil
}

func (s *Spec) check() error {
	if !Name(s.Name) {
		return &Error{Text: "name " + strconv.Quote(s.Name) + " is no fit name"}
	}
	seen := map[string]bool{}
	var subnets []netip.Prefix
	for i := range s.Networks {
		n := &s.Networks[i]
		if !Name(n.Name) {
			return faultAt(n.Line, "network %q: a name is letters, digits, \"_\", \".\" and \"-\", at most 63, the first a letter or digit", n.Name)
		}
		if seen[n.Name] || n.Name == "host" || n.Name == "none" {
			return faultAt(n.Line, "network %q: the name is taken", n.Name)
		}
		seen[n.Name] = true
		if err := n.check(); err != nil {
			return err
		}
		for _, p := range n.Pools {
			if o, hit := ipam.Overlap(p.Subnet, subnets); hit {
				return faultAt(n.Line, "network %s: subnet %s overlaps %s of another network", n.Name, p.Subnet, o)
			}
			subnets = append(subnets, p.Subnet)
		}
	}
	seen = map[string]bool{}
	for i := range s.Services {
		v := &s.Services[i]
		if err := s.service(v, seen); err != nil {
			return err
		}
	}
	for i := range s.Services {
		if err := s.cycle(&s.Services[i]); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) check() error {
	switch n.Driver {
	case "bridge", "macvlan", "overlay", "ipvlan":
	default:
		return faultAt(n.Line, "network %s: driver %q is not known; known are bridge, macvlan, ipvlan, overlay", n.Name, n.Driver)
	}
	known := knownOptions(n.Driver)
	for k, v := range n.Options {
		if !slices.Contains(known, k) && n.Driver != "ipvlan" {
			return faultAt(n.Line, "network %s: driver %s has no option %q; it has %s", n.Name, n.Driver, k, strings.Join(known, ", "))
		}
		if err := optionValue(k, v); err != "" {
			return faultAt(n.Line, "network %s: option %s: %s", n.Name, k, err)
		}
	}
	if n.Driver != "overlay" && len(n.Peers) > 0 {
		return faultAt(n.Line, "network %s: x-peers are of overlay networks", n.Name)
	}
	v4 := 0
	for _, p := range n.Pools {
		if err := (ipam.Subnet{Prefix: p.Subnet, Range: p.Range, Gateway: p.Gateway}).Check(); err != nil {
			return faultAt(n.Line, "network %s: %v", n.Name, err)
		}
		if p.Subnet.Addr().Is4() {
			v4++
		} else {
			n.IPv6 = true
		}
	}
	if v4 > 1 || len(n.Pools)-v4 > 1 {
		return faultAt(n.Line, "network %s: one subnet of each family is all that is built", n.Name)
	}
	return nil
}

// optionValue says what is wrong with an option's value, "" for nothing.
func optionValue(k, v string) string {
	isBool := func() string {
		if _, err := strconv.ParseBool(v); err != nil {
			return strconv.Quote(v) + " is neither true nor false"
		}
		return ""
	}
	switch k {
	case "com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade":
		return isBool()
	case "com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6":
		if !slices.Contains([]string{"nat", "nat-unprotected", "routed", "isolated"}, v) {
			return strconv.Quote(v) + " is none of nat, nat-unprotected, routed, isolated"
		}
	case "com.docker.network.driver.mtu":
		if n, err := strconv.Atoi(v); err != nil || n < 68 || n > 65535 {
			return strconv.Quote(v) + " is no MTU"
		}
	case "com.docker.network.bridge.host_binding_ipv4", "com.docker.network.host_ipv4", "local":
		if a, err := netip.ParseAddr(v); err != nil || !a.Is4() {
			return strconv.Quote(v) + " is no IPv4 address"
		}
	case "com.docker.network.bridge.name", "parent", "com.docker.network.container_iface_prefix":
		if !Device(v) {
			return strconv.Quote(v) + " can't name a device"
		}
	case "macvlan_mode":
		if !slices.Contains([]string{"bridge", "private", "vepa", "passthru"}, v) {
			return strconv.Quote(v) + " is none of bridge, private, vepa, passthru"
		}
	case "com.docker.network.driver.overlay.vxlanid_list":
		if n, err := strconv.ParseUint(v, 10, 24); err != nil || n == 0 {
			return strconv.Quote(v) + " is no VNI"
		}
	}
	return ""
}

// Device says whether a text can name a device (net/core/dev.c:
// dev_valid_name), and is no trap for those who read it.
func Device(v string) bool {
	if v == "" || len(v) > 15 || v[0] == '-' || v == "." || v == ".." {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '/' || r == ':' || r == '"' || r == '\'' || r == '%'
	})
}

func (s *Spec) service(v *Service, seen map[string]bool) error {
	bad := func(format string, args ...any) error {
		return faultAt(v.Line, "service "+v.Name+": "+format, args...)
	}
	if !Name(v.Name) {
		return faultAt(v.Line, "service %q is no fit name", v.Name)
	}
	for _, name := range v.Containers() {
		if !Name(name) {
			return bad("container name %q is no fit name", name)
		}
		if seen[name] {
			return bad("container name %q is taken", name)
		}
		seen[name] = true
	}
	if v.ContainerName != "" && v.Replicas > 1 {
		return bad("container_name for %d containers", v.Replicas)
	}
	if v.Hostname != "" && (len(v.Hostname) > 63 || !Name(v.Hostname)) {
		return bad("hostname %q is no fit name", v.Hostname)
	}
	mode, other, _ := strings.Cut(v.NetworkMode, ":")
	switch mode {
	case "", "bridge":
	case "host", "none", "service":
		if mode == "service" && (s.Service(other) == nil || other == v.Name) {
			return bad("network_mode: there is no other service %q", other)
		}
		if mode == "service" && s.Service(other).Replicas != 1 {
			return bad("network_mode: service %q has not just one container", other)
		}
		if len(v.Networks) > 0 || len(v.Ports) > 0 || len(v.Links) > 0 {
			return bad("network_mode %s takes no networks, ports or links", v.NetworkMode)
		}
	default:
		return bad("network_mode %q is none of bridge, host, none, service:NAME", v.NetworkMode)
	}
	on := map[string]bool{}
	for _, a := range v.Networks {
		if s.Network(a.Network) == nil {
			return bad("there is no network %q", a.Network)
		}
		if on[a.Network] {
			return bad("network %q twice", a.Network)
		}
		on[a.Network] = true
		if (a.IPv4.IsValid() || a.IPv6.IsValid() || a.MAC != "") && v.Replicas > 1 {
			return bad("a fixed address for %d containers", v.Replicas)
		}
		if a.IPv4.IsValid() && !a.IPv4.Is4() || a.IPv6.IsValid() && !a.IPv6.Is6() {
			return bad("an address of the other family on %q", a.Network)
		}
		if a.MAC != "" && !macRule.MatchString(a.MAC) {
			return bad("%q is no hardware address", a.MAC)
		}
		for _, al := range a.Aliases {
			if !Name(al) {
				return bad("alias %q is no fit name", al)
			}
		}
	}
	for _, p := range v.Ports {
		if p.HostPort != 0 && v.Replicas > 1 {
			return bad("host port %d for %d containers", p.HostPort, v.Replicas)
		}
	}
	return nil
}

// Containers are the names of the service's containers.
func (v *Service) Containers() []string {
	if v.ContainerName != "" {
		return []string{v.ContainerName}
	}
	if v.Replicas == 1 {
		return []string{v.Name}
	}
	var out []string
	for i := 1; i <= v.Replicas; i++ {
		out = append(out, v.Name+"-"+strconv.Itoa(i))
	}
	return out
}

// needs are the services that must be there before this one.
func (v *Service) needs() []string {
	var out []string
	if _, other, ok := strings.Cut(v.NetworkMode, ":"); ok {
		out = append(out, other)
	}
	for _, l := range v.Links {
		to, _, _ := strings.Cut(l, ":")
		out = append(out, to)
	}
	return out
}

// cycle refuses services that wait for each other.
func (s *Spec) cycle(v *Service) error {
	way := []string{}
	var walk func(*Service) error
	walk = func(x *Service) error {
		if slices.Contains(way, x.Name) {
			return faultAt(v.Line, "services wait for each other: %s", strings.Join(append(way, x.Name), " → "))
		}
		way = append(way, x.Name)
		for _, n := range x.needs() {
			y := s.Service(n)
			if y == nil {
				return faultAt(x.Line, "service %s: there is no service %q to link to", x.Name, n)
			}
			if err := walk(y); err != nil {
				return err
			}
		}
		way = way[:len(way)-1]
		return nil
	}
	return walk(v)
}

// Order are the services, each behind those that it needs.
func (s *Spec) Order() []*Service {
	var out []*Service
	done := map[string]bool{}
	var put func(*Service)
	put = func(v *Service) {
		if done[v.Name] {
			return
		}
		done[v.Name] = true
		for _, n := range v.needs() {
			if y := s.Service(n); y != nil {
				put(y)
			}
		}
		out = append(out, v)
	}
	for i := range s.Services {
		put(&s.Services[i])
	}
	return out
}
