package driver

import "github.com/netdoctor/netdoctor/fixups"

// Frame is what is there once for all networks of a family: the chains and the
// jumps to them.
func Frame(e *Env, v6 bool) []fixups.Op {
	if e.NFT() {
		return frameNFT(e, v6)
	}
	w := &ipt{env: e, at: e.Host, v6: v6}
	if v6 && e.Gen == Docker20 {
		return nil // it writes no rules for IPv6
	}
	w.base("filter", "FORWARD")
	for _, c := range []string{"PREROUTING", "OUTPUT", "POSTROUTING"} {
		w.base("nat", c)
	}
	local := "! -d 127.0.0.0/8 "
	if v6 {
		local = "! -d ::1/128 "
	}
	if !e.Proxy {
		local = ""
	}
	if e.Gen == Docker20 {
		for _, c := range []string{prefix, prefix + "-ISOLATION-STAGE-1", prefix + "-ISOLATION-STAGE-2", prefix + "-USER"} {
			w.chain("filter", c)
		}
		w.chain("nat", prefix)
		for _, c := range []string{"-ISOLATION-STAGE-1", "-ISOLATION-STAGE-2", "-USER"} {
			w.add("filter", prefix+c, "", "RETURN")
		}
		w.insert("filter", "FORWARD", "", prefix+"-ISOLATION-STAGE-1")
		w.insert("filter", "FORWARD", "", prefix+"-USER")
	} else {
		w.base("raw", "PREROUTING")
		for _, c := range []string{"", "-BRIDGE", "-CT", "-FORWARD", "-INTERNAL", "-USER"} {
			w.chain("filter", prefix+c)
		}
		w.chain("nat", prefix)
		for _, c := range []string{"-CT", "-INTERNAL", "-BRIDGE"} {
			w.add("filter", prefix+"-FORWARD", "", prefix+c)
		}
		w.insert("filter", "FORWARD", "", prefix+"-FORWARD")
		w.insert("filter", "FORWARD", "", prefix+"-USER")
	}
	w.add("nat", "PREROUTING", "-m addrtype --dst-type LOCAL", prefix)
	w.add("nat", "OUTPUT", local+"-m addrtype --dst-type LOCAL", prefix)
	return w.ops
}

// Forwarding turns forwarding on, as a daemon with the iptables backend does:
// and, since others could then use this host as a router, the policy of FORWARD
// to DROP (moby drivers/bridge/setup_ip_forwarding.go).
func Forwarding(e *Env, v6 bool) []fixups.Op {
	if e.NFT() {
		return nil
	}
	w := &ipt{env: e, at: e.Host, v6: v6}
	if v6 {
		ops := []fixups.Op{
			&fixups.SysctlSet{Where: e.Host, Key: "net/ipv6/conf/default/forwarding", Value: "1"},
			&fixups.SysctlSet{Where: e.Host, Key: "net/ipv6/conf/all/forwarding", Value: "1"},
		}
		if e.Gen == Docker20 { // no rules for IPv6, and no policy
			return ops
		}
		return append(ops, &fixups.ChainPolicy{ChainRef: w.ref("filter", "FORWARD"), Policy: "drop"})
	}
	return []fixups.Op{
		&fixups.SysctlSet{Where: e.Host, Key: "net/ipv4/ip_forward", Value: "1"},
		&fixups.ChainPolicy{ChainRef: w.ref("filter", "FORWARD"), Policy: "drop"},
	}
}

// tableNFT is the table of bridges.
const tableNFT = "netdoctor-bridges"

// The verdict maps by which a packet finds its network's chains.
var jumpMaps = []struct{ name, chain string }{
	{"filter-forward-in-jumps", "filter-forward-in__"},
	{"filter-forward-out-jumps", "filter-forward-out__"},
	{"nat-postrouting-in-jumps", "nat-postrouting-in__"},
	{"nat-postrouting-out-jumps", "nat-postrouting-out__"},
}

func frameNFT(e *Env, v6 bool) []fixups.Op {
	w := &nft{at: e.Host, table: tableNFT, v6: v6}
	w.ops = append(w.ops, &fixups.TableAdd{ChainRef: w.ref("")})
	for _, m := range jumpMaps {
		w.ops = append(w.ops, &fixups.SetAdd{ChainRef: w.ref(""), Set: fixups.VerdictMap(m.name)})
	}
	w.base("filter-FORWARD", "forward", "filter", 0)
	w.base("nat-OUTPUT", "output", "nat", -100)
	w.base("nat-POSTROUTING", "postrouting", "nat", 100)
	w.base("nat-PREROUTING", "prerouting", "nat", -100)
	w.chain("nat-prerouting-and-output")
	w.base("raw-PREROUTING", "prerouting", "filter", -300)
	w.add("filter-FORWARD", "oifname vmap @filter-forward-in-jumps")
	w.add("filter-FORWARD", "iifname vmap @filter-forward-out-jumps")
	local := w.ip() + " daddr != 127.0.0.0/8 "
	if v6 {
		local = "ip6 daddr != ::1 "
	}
	if !e.Proxy {
		local = ""
	}
	w.add("nat-OUTPUT", local, "fib daddr type local counter jump nat-prerouting-and-output")
	w.add("nat-POSTROUTING", "iifname vmap @nat-postrouting-out-jumps")
	w.add("nat-POSTROUTING", "oifname vmap @nat-postrouting-in-jumps")
	w.add("nat-PREROUTING", "fib daddr type local counter jump nat-prerouting-and-output")
	return w.ops
}
