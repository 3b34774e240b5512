package driver

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
)

// rules are a bridge network's own, for one family.
func (n *Network) rules(e *Env, v6 bool) []fixups.Op {
	p := n.Pool(v6)
	if !p.Subnet.IsValid() {
		return nil
	}
	sub := p.Subnet.Masked()
	switch {
	case e.NFT():
		return n.rulesNFT(e, sub, v6)
	case e.Gen == Docker20 && v6:
		return nil
	case e.Gen == Docker20:
		return n.rules20(e, sub)
	}
	return n.rules29(e, sub, v6)
}

// masquerades says whether senders are replaced.
func (n *Network) masquerades(v6 bool) bool {
	return n.Net.Masquerade && !n.Net.Internal && n.mode(v6) != "routed" && n.mode(v6) != "isolated"
}

// outgoing is the target that replaces senders.
func (n *Network) outgoing() string {
	if n.SNAT.IsValid() {
		return "SNAT --to-source " + n.SNAT.String()
	}
	return "MASQUERADE"
}

// rules29 are those since Docker 28 (moby
// daemon/libnetwork/drivers/bridge/internal/iptabler/network.go).
func (n *Network) rules29(e *Env, sub netip.Prefix, v6 bool) []fixups.Op {
	w := &ipt{env: e, at: e.Host, v6: v6}
	br, s, fwd := n.Net.Bridge, sub.String(), prefix+"-FORWARD"
	icc := "ACCEPT"
	if !n.Net.ICC {
		icc = "DROP"
	}
	if n.Net.Internal {
		in, out := "! -s "+s+" -o "+br, "! -d "+s+" -i "+br
		if v6 {
			in, out = "! -s "+s+" ! -i "+br+" -o "+br, "! -d "+s+" -i "+br+" ! -o "+br
		}
		w.insert("filter", prefix+"-INTERNAL", out, "DROP")
		w.insert("filter", prefix+"-INTERNAL", in, "DROP")
		w.add("filter", fwd, "-i "+br+" -o "+br, icc)
		return w.ops
	}
	if n.masquerades(v6) {
		w.insert("nat", "POSTROUTING", "-s "+s+" ! -o "+br, n.outgoing())
		if !e.Proxy {
			w.insert("nat", "POSTROUTING", "-o "+br+" -m addrtype --src-type LOCAL", "MASQUERADE")
		}
	}
	if n.Net.ICC {
		w.add("filter", fwd, "-i "+br, "ACCEPT")
	} else {
		w.add("filter", fwd, "-i "+br+" -o "+br, "DROP")
		w.add("filter", fwd, "-i "+br+" ! -o "+br, "ACCEPT")
	}
	if n.mode(v6) == "routed" {
		icmp := "icmp"
		if v6 {
			icmp = "icmpv6"
		}
		w.add("filter", prefix, "-o "+br+" -p "+icmp, "ACCEPT")
	}
	rest := "DROP"
	if n.mode(v6) == "nat-unprotected" {
		rest = "ACCEPT"
	}
	w.add("filter", prefix, "! -i "+br+" -o "+br, rest)
	w.add("filter", prefix+"-CT", "-o "+br+" -m conntrack --ctstate RELATED,ESTABLISHED", "ACCEPT")
	w.add("filter", prefix+"-BRIDGE", "-o "+br, prefix)
	return w.ops
}

// rules20 are those up to Docker 27, in the order of 20.10: right behind the two
// jumps at the head of FORWARD, so that the newest network is the first.
func (n *Network) rules20(e *Env, sub netip.Prefix) []fixups.Op {
	w := &ipt{env: e, at: e.Host}
	br, s := n.Net.Bridge, sub.String()
	iso1, iso2 := prefix+"-ISOLATION-STAGE-1", prefix+"-ISOLATION-STAGE-2"
	pos := 3
	fwd := func(match, target string) {
		w.rule("filter", "FORWARD", pos, match, target)
		pos++
	}
	if !n.Net.Internal {
		fwd("-o "+br+" -m conntrack --ctstate RELATED,ESTABLISHED", "ACCEPT")
		fwd("-o "+br, prefix)
		fwd("-i "+br+" ! -o "+br, "ACCEPT")
	}
	if n.Net.ICC {
		fwd("-i "+br+" -o "+br, "ACCEPT")
	} else {
		w.add("filter", "FORWARD", "-i "+br+" -o "+br, "DROP")
	}
	if n.Net.Internal {
		w.insert("filter", iso1, "! -d "+s+" -i "+br, "DROP")
		w.insert("filter", iso1, "! -s "+s+" -o "+br, "DROP")
		return w.ops
	}
	w.insert("filter", iso1, "-i "+br+" ! -o "+br, iso2)
	w.insert("filter", iso2, "-o "+br, "DROP")
	if n.masquerades(false) {
		w.insert("nat", "POSTROUTING", "-s "+s+" ! -o "+br, n.outgoing())
		if e.Proxy {
			w.insert("nat", prefix, "-i "+br, "RETURN")
		} else {
			w.insert("nat", "POSTROUTING", "-o "+br+" -m addrtype --src-type LOCAL", "MASQUERADE")
		}
	}
	return w.ops
}

// rulesNFT are those of the nftables backend (moby
// daemon/libnetwork/drivers/bridge/internal/nftabler/network.go).
func (n *Network) rulesNFT(e *Env, sub netip.Prefix, v6 bool) []fixups.Op {
	w := &nft{at: e.Host, table: tableNFT, v6: v6}
	br := n.Net.Bridge
	dev := `"` + br + `"`
	for _, m := range jumpMaps {
		w.chain(m.chain + br)
	}
	in, out := "filter-forward-in__"+br, "filter-forward-out__"+br
	icc := "accept"
	if !n.Net.ICC {
		icc = "drop"
	}
	const established = "ct state established,related counter accept"
	w.add(in, established)
	w.add(out, established)
	if n.Net.Internal {
		w.add(in, "iifname !=", dev, `counter drop comment "INTERNAL NETWORK INGRESS"`)
		w.add(in, "counter", icc, `comment "ICC"`)
		w.add(out, "oifname !=", dev, `counter drop comment "INTERNAL NETWORK EGRESS"`)
	} else {
		if n.mode(v6) == "routed" {
			if v6 {
				w.add(in, `meta l4proto ipv6-icmp counter accept comment "ICMP"`)
			} else {
				w.add(in, `ip protocol icmp counter accept comment "ICMP"`)
			}
		}
		w.add(in, "iifname", dev, "counter", icc, `comment "ICC"`)
		if n.mode(v6) == "nat-unprotected" {
			w.add(in, `counter accept comment "UNPROTECTED"`)
		} else {
			w.add(in, `counter drop comment "UNPUBLISHED PORT DROP"`)
		}
		w.add(out, `counter accept comment "OUTGOING"`)
		if n.masquerades(v6) {
			post := `counter masquerade comment "MASQUERADE"`
			if n.SNAT.IsValid() && !v6 {
				post = "counter snat to " + n.SNAT.String() + ` comment "SNAT"`
			}
			w.add("nat-postrouting-out__"+br, "oifname !=", dev, w.ip(), "saddr", sub.String(), post)
			if !e.Proxy {
				w.add("nat-postrouting-in__"+br, `fib saddr type local counter masquerade comment "MASQUERADE FROM HOST"`)
			}
		}
	}
	for _, m := range jumpMaps {
		w.ops = append(w.ops, &fixups.SetElementAdd{ChainRef: w.ref(""), Set: m.name, Elements: elements(br, m.chain+br)})
	}
	return w.ops
}
