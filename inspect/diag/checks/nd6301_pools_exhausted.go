package checks

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6301: no block is left for new networks.
//
// Networks that are made without a subnet get the first free block of the
// default-address-pools: 31 blocks when nothing is configured. Blocks that overlap a
// network, an on-link route or a name server of the host are passed over. When none
// is left, "docker network create", and so "docker compose up", fails with "could
// not find an available, non-overlapping IPv4 address pool among the defaults". The
// networks that there are go on.
//
// See it by hand:
//
//	docker network ls; docker network prune  unused networks keep their block
//	docker info --format '{{json .DefaultAddressPools}}'
//	ip route show scope link
//
// Sources: moby libnetwork/ipamutils/utils.go; ipams/defaultipam/address_space.go;
// netutils/utils_linux.go: InferReservedNetworks; docker/for-linux#418
func nd6301() diag.Check {
	return diag.Check{
		Code: "ND6301", Name: "pools-exhausted", Severity: diag.Error, Since: "0.1",
		Title:  "The engine has no subnet left for new networks",
		Detect: detectND6301,
	}
}

// builtinPools are moby's (libnetwork/ipamutils/utils.go): base and block size.
var builtinPools = []struct {
	base string
	bits int
}{
	{"172.17.0.0/16", 16},
	{"172.18.0.0/16", 16},
	{"172.19.0.0/16", 16},
	{"172.20.0.0/14", 16},
	{"172.24.0.0/14", 16},
	{"172.28.0.0/14", 16},
	{"192.168.0.0/16", 20},
}

// maxBlocks bounds the blocks that are tried; a larger pool is not exhausted by
// networks that one host can have.
const maxBlocks = 4096

func detectND6301(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Engines {
		e := &in.Snap.Engines[i]
		if e.Name != "docker" || e.Remote || !e.Reachable {
			continue
		}
		total, taken := blocks(in, e)
		if total == 0 || taken < total {
			continue
		}
		var idle []string
		for k := range in.Snap.Networks {
			n := &in.Snap.Networks[k]
			if n.Engine == e.Name && n.Driver == "bridge" && !n.Default && members(in, n) == 0 {
				idle = append(idle, n.Name)
			}
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("docker has no free subnet for another network: all %s of default-address-pools (%s) are in use", diag.Count(total, "block"), poolText(e)),
			Cause:    "every block of the default address pools overlaps a network, an on-link route or a name server of this host",
			Subject:  diag.Subject{Kind: "engine", Name: e.Name, Netns: in.Snap.Host.Netns},
			Evidence: []diag.Evidence{ev("docker info", "default-address-pools: "+poolText(e), snap.RefEngine(e.Name))},
			Advice:   "widen default-address-pools in " + e.ConfigFile + " (and restart dockerd), or give new networks a --subnet",
			Weight:   30,
		}
		if e.ConfigFile == "" {
			f.Advice = "widen default-address-pools in daemon.json (and restart dockerd), or give new networks a --subnet"
		}
		if len(idle) > 0 {
			f.Advice = "no container uses " + strings.Join(idle, ", ") + ": docker network prune frees their blocks; or " + f.Advice
			f.Evidence = append(f.Evidence, ev("docker network ls", "without containers: "+strings.Join(idle, ", "), ""))
		}
		out = append(out, f)
	}
	return out
}

// blocks counts the blocks of an engine's default pools, and those that new
// networks can't have; a total of 0 says that there are too many to look at.
func blocks(in *diag.Input, e *snap.Engine) (total, taken int) {
	used := reserved(in, e)
	try := func(base netip.Prefix, bits int) bool {
		for p := netip.PrefixFrom(base.Masked().Addr(), max(bits, base.Bits())); base.Contains(p.Addr()); {
			if total++; total > maxBlocks {
				return false
			}
			for _, u := range used {
				if u.Overlaps(p) {
					taken++
					break
				}
			}
			next := snap.LastAddr(p).Next()
			if !next.IsValid() {
				break
			}
			p = netip.PrefixFrom(next, p.Bits())
		}
		return true
	}
	if len(e.Pools) == 0 {
		for _, b := range builtinPools {
			try(netip.MustParsePrefix(b.base), b.bits)
		}
		return total, taken
	}
	for i, p := range e.Pools {
		bits := p.Bits()
		if i < len(e.PoolSizes) {
			bits = e.PoolSizes[i]
		}
		if p.Addr().Is4() && !try(p, bits) {
			return 0, 0
		}
	}
	return total, taken
}

// reserved are the prefixes that new networks keep away from.
func reserved(in *diag.Input, e *snap.Engine) []netip.Prefix {
	var out []netip.Prefix
	for i := range in.Snap.Networks {
		if n := &in.Snap.Networks[i]; n.Engine == e.Name {
			for _, p := range n.Pools {
				out = append(out, p.Subnet)
			}
		}
	}
	host := in.Snap.HostNs()
	for _, r := range host.Routes {
		if r.Family == snap.IPv4 && r.Scope == "link" && r.Table == snap.TableMain && r.Dst.Bits() > 0 {
			out = append(out, r.Dst)
		}
	}
	if r := in.Snap.Resolver("host"); r != nil {
		for _, a := range r.ResolvConf.Nameservers {
			if a.Is4() {
				out = append(out, netip.PrefixFrom(a, 32))
			}
		}
	}
	return out
}

func poolText(e *snap.Engine) string {
	if len(e.Pools) == 0 {
		return "the built-in ones, 172.17.0.0/16 to 192.168.0.0/16"
	}
	var out []string
	for i, p := range e.Pools {
		t := p.String()
		if i < len(e.PoolSizes) {
			t += fmt.Sprintf(" in /%d", e.PoolSizes[i])
		}
		out = append(out, t)
	}
	return strings.Join(out, ", ")
}

// members counts the containers on a network, running or not.
func members(in *diag.Input, n *snap.Network) int {
	k := 0
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for j := range c.Endpoints {
			if in.Snap.NetworkOf(c.Engine, &c.Endpoints[j]) == n {
				k++
			}
		}
	}
	return k
}
