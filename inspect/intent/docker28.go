package intent

import (
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// docker28 is what Docker's iptables backend writes from 28.0.1 on (moby
// daemon/libnetwork/drivers/bridge/internal/iptabler; its own generated
// documents, integration/network/bridge/iptablesdoc/generated). 28 keeps
// networks apart in DOCKER-ISOLATION-STAGE-1 and -2, 29 by the DROP at the end
// of DOCKER, with DOCKER-INTERNAL for internal networks. 28.0.0 has all in FORWARD,
// with two rules that ask an ipset of the networks. ok is false where the generation
// can't be told.
func docker28(s *snap.Snapshot, e *snap.Engine, family snap.Family) (set Set, ok bool) {
	set = Set{Engine: e.Name, Family: family, System: systemOf(s)}
	stages, ok := docker28Stages(s, e, &set)
	if !ok {
		return set, false
	}
	forward, frame := "DOCKER-FORWARD", []string{"DOCKER", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD", "DOCKER-USER"}
	if e.Version == first28 {
		forward, frame = "FORWARD", []string{"DOCKER", "DOCKER-USER"}
	}
	for _, c := range frame {
		set.Chains = append(set.Chains, Chain{Table: "filter", Name: c})
	}
	fence := "DOCKER-INTERNAL"
	if stages {
		fence = "DOCKER-ISOLATION-STAGE-1"
		set.Chains = append(set.Chains, Chain{Table: "filter", Name: "DOCKER-ISOLATION-STAGE-2"})
	}
	set.Chains = append(set.Chains, Chain{Table: "filter", Name: fence}, Chain{Table: "nat", Name: "DOCKER"})
	nets := bridges(s, e.Name, family)
	snap.Sort(nets, func(a, b bridgeNet) int { return a.n.Created.Compare(b.n.Created) })
	snap.Sort(nets, func(a, b bridgeNet) int { return boolRank(b.n.Default) - boolRank(a.n.Default) })
	newest := slices.Clone(nets)
	slices.Reverse(newest)

	set.add("filter", "FORWARD", "-j DOCKER-USER", "the user's own rules come first", nil)
	if forward != "FORWARD" {
		set.add("filter", "FORWARD", "-j DOCKER-FORWARD", "everything of Docker's", nil)
	}
	if before(e.Version, 28, 3) { // AddReturnRule of libnetwork/firewall_linux.go went with 28.3
		set.add("filter", "DOCKER-USER", "-j RETURN", "the end of the chain", nil).Optional = true
	}
	if forward == "FORWARD" {
		docker2800(s, &set, nets, fence)
	} else {
		set.add("filter", forward, "-j DOCKER-CT", "answers", nil)
		set.add("filter", forward, "-j "+fence, "networks are kept apart", nil)
		set.add("filter", forward, "-j DOCKER-BRIDGE", "published ports", nil)
	}
	for _, b := range nets {
		docker28Net(&set, b, forward)
	}
	docker28Fence(&set, fence, nets, newest, stages)
	docker28NAT(&set, e, newest, stages)
	docker28Ports(s, e, &set)
	docker28Closed(&set, nets)
	docker28Raw(s, e, &set)
	return set, true
}

// docker28Fence is what keeps networks apart, and internal ones from the world.
func docker28Fence(set *Set, fence string, nets, newest []bridgeNet, stages bool) {
	for _, b := range newest {
		switch in, out := b.fence(); {
		case b.n.Internal:
			set.add("filter", fence, in, "nothing gets into "+b.n.Name, b.n)
			set.add("filter", fence, out, "nothing leaves "+b.n.Name, b.n)
		case stages && b.mode == "routed":
			set.add("filter", fence, "-i "+b.bridge+" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers of "+b.n.Name, b.n)
			set.add("filter", fence, "-o "+b.bridge+" -j RETURN", "other networks may reach "+b.n.Name, b.n)
		}
	}
	if !stages {
		return
	}
	for _, b := range nets {
		if !b.n.Internal {
			set.add("filter", fence, "-i "+b.bridge+" ! -o "+b.bridge+" -j DOCKER-ISOLATION-STAGE-2", "from "+b.n.Name+" to another network", b.n)
		}
	}
	for _, b := range newest {
		if !b.n.Internal {
			set.add("filter", "DOCKER-ISOLATION-STAGE-2", "-o "+b.bridge+" -j DROP", "into "+b.n.Name+" from another network", b.n)
		}
	}
}

// docker28Closed is what holds for all of a network: it is appended behind the ports,
// which are inserted on top.
func docker28Closed(set *Set, nets []bridgeNet) {
	for _, b := range nets {
		switch {
		case b.n.Internal:
			continue
		case b.mode == "routed":
			set.add("filter", "DOCKER", "-o "+b.bridge+" -p "+pingProto(set.Family)+" -j ACCEPT", "pings to "+b.n.Name, b.n)
		case b.mode == "nat-unprotected":
			set.add("filter", "DOCKER", "! -i "+b.bridge+" -o "+b.bridge+" -j ACCEPT", b.n.Name+" is open", b.n)
			continue
		}
		set.add("filter", "DOCKER", "! -i "+b.bridge+" -o "+b.bridge+" -j DROP", "unpublished ports of "+b.n.Name+" are closed", b.n)
	}
}

// first28 is the release that differs from all others of its generation (moby
// libnetwork/drivers/bridge/setup_ip_tables_linux.go at v28.0.0).
const first28 = "28.0.0"

// docker2800 are FORWARD's first rules in 28.0.0. Without the ipset nothing can ask it.
func docker2800(s *snap.Snapshot, set *Set, nets []bridgeNet, fence string) {
	name := extBridges(set.Family)
	in, there := "-m set --match-set "+name+" dst ", ipset(s.HostNs(), name) != nil
	if there {
		set.add("filter", "FORWARD", in+"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers", nil)
	}
	set.add("filter", "FORWARD", "-j "+fence, "networks are kept apart", nil)
	if there {
		set.add("filter", "FORWARD", in+"-j DOCKER", "published ports", nil)
	}
	for _, b := range nets {
		if !b.n.Internal {
			set.Members = append(set.Members, Member{Set: name, Net: b.subnet, Network: b.n.Ref})
		}
	}
}

// docker28Stages says whether the generation with the isolation stages is
// meant: by the chains that are there, else by the version.
func docker28Stages(s *snap.Snapshot, e *snap.Engine, set *Set) (stages, ok bool) {
	if host := s.HostNs(); host != nil {
		if t := host.Ruleset.Table(set.System, set.Family, "filter"); t != nil {
			switch {
			case t.Chain("DOCKER-INTERNAL") != nil:
				return false, true
			case t.Chain("DOCKER-FORWARD") != nil && t.Chain("DOCKER-ISOLATION-STAGE-1") != nil:
				return true, true
			}
		}
	}
	v, _, _ := strings.Cut(e.Version, ".")
	n, err := strconv.Atoi(v)
	return n == 28, err == nil && n >= 28
}

// pingProto is ICMP as iptables-save names it.
func pingProto(family snap.Family) string {
	if family == snap.IPv6 {
		return "ipv6-icmp"
	}
	return "icmp"
}

func docker28Net(set *Set, b bridgeNet, forward string) {
	br := b.bridge
	if b.n.Internal {
		target := "ACCEPT"
		if !b.n.ICC {
			target = "DROP"
		}
		set.add("filter", forward, "-i "+br+" -o "+br+" -j "+target, "containers of "+b.n.Name+" among themselves", b.n)
		return
	}
	if forward != "FORWARD" {
		set.add("filter", "DOCKER-CT", "-o "+br+" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers to "+b.n.Name, b.n)
		set.add("filter", "DOCKER-BRIDGE", "-o "+br+" -j DOCKER", "published ports of "+b.n.Name, b.n)
	}
	if b.n.ICC {
		set.add("filter", forward, "-i "+br+" -j ACCEPT", b.n.Name+" to the world", b.n)
		return
	}
	set.add("filter", forward, "-i "+br+" -o "+br+" -j DROP", "containers of "+b.n.Name+" kept apart (enable_icc=false)", b.n)
	set.add("filter", forward, "-i "+br+" ! -o "+br+" -j ACCEPT", b.n.Name+" to the world", b.n)
}

func docker28NAT(set *Set, e *snap.Engine, newest []bridgeNet, stages bool) {
	set.add("nat", "PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from outside", nil)
	from := "! -d " + loopback(set.Family) + " "
	if !e.UserlandProxy {
		from = ""
	}
	set.add("nat", "OUTPUT", from+"-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	for _, b := range newest {
		if b.n.Internal || !b.n.Masquerade {
			continue
		}
		if b.nat() {
			if !e.UserlandProxy {
				set.add("nat", "POSTROUTING", "-o "+b.bridge+" -m addrtype --src-type LOCAL -j "+b.leave(), "this host to its published ports", b.n)
			}
			set.add("nat", "POSTROUTING", "-s "+b.subnet.String()+" ! -o "+b.bridge+" -j "+b.leave(), b.n.Name+" leaves with this host's address", b.n)
		}
		if stages && e.UserlandProxy {
			set.add("nat", "DOCKER", "-i "+b.bridge+" -j RETURN", "containers go through docker-proxy", b.n).Optional = true
		}
	}
}

// docker28Ports adds the rules of each published port. Those that accept are
// inserted, and stand the newest first.
func docker28Ports(s *snap.Snapshot, e *snap.Engine, set *Set) {
	head := ""
	if set.Family == snap.IPv6 {
		head = "! -s fe80::/10 " // a link-local source has no meaning on the other link
	}
	ports := publishedPorts(s, e, set.Family)
	for _, p := range ports {
		if p.mode == "routed" || p.mode == "isolated" {
			continue
		}
		if !e.Rootless { // which address RootlessKit's child has it named depends on the release
			set.once(p.dnat(e.UserlandProxy, head))
		}
		if !e.UserlandProxy {
			set.once(p.hairpin())
		}
	}
	for _, p := range slices.Backward(ports) {
		if p.mode == "nat" || p.mode == "routed" {
			set.once(p.accept())
		}
	}
}
