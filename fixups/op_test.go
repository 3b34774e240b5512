package fixups_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// equal compares netip values, which have hidden fields.
func equal() cmp.Option {
	return cmp.Options{cmpopts.EquateComparable(pfx("::/0"), ip("::"), netip.AddrPort{}, snap.Tuple{}), cmpopts.EquateEmpty()}
}

// same compares two snapshots by their JSON form, which is quicker than cmp.
func same(t *testing.T, a, b *snap.Snapshot) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// opCase is one operation and the lines for it and for its inverse.
type opCase struct {
	name string
	op   func(s *snap.Snapshot) fixups.Op
	do   []string
	undo []string
}

func chainRef(s *snap.Snapshot, sys snap.System, fam snap.Family, table, chain string) fixups.ChainRef {
	return fixups.ChainRef{Where: fixups.At(s, "host"), System: sys, Family: fam, Table: table, Chain: chain}
}

// rule is a rule of a chain of the world.
func rule(s *snap.Snapshot, r fixups.ChainRef, num int) snap.Rule {
	return s.Ns("host").Ruleset.Table(r.System, r.Family, r.Table).Chain(r.Chain).Rules[num-1]
}

func opCases() []opCase {
	host := func(s *snap.Snapshot) fixups.Where { return fixups.At(s, "host") }
	web := func(s *snap.Snapshot) fixups.Where { return fixups.At(s, "web") }
	blue := func(s *snap.Snapshot) fixups.Where { return fixups.At(s, "blue") }
	ctr := func(name, id string) fixups.Ctr {
		return fixups.Ctr{Ref: "docker:" + name, Engine: "docker", ID: id, Name: name}
	}
	on, yes := new(true), true
	return append(slices.Concat(xdpCases(), xfrmCases(), freezerCases()), []opCase{
		{
			"a bridge goes down and takes its routes", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkSet{Where: host(s), Name: "br-app"} },
			[]string{"ip link set dev br-app down"},
			[]string{"ip link set dev br-app up"},
		},
		{
			"an uplink goes down and its default route has to come back", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkSet{Where: host(s), Name: "eth0"} },
			[]string{"ip link set dev eth0 down"},
			[]string{"ip link set dev eth0 up", "ip route add default via 192.0.2.1 dev eth0"},
		},
		{
			"a container's device goes down and loses its IPv6 address", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkSet{Where: web(s), Name: "eth0"} },
			[]string{"nsenter -t 100 -n ip link set dev eth0 down"},
			[]string{
				"nsenter -t 100 -n ip link set dev eth0 up", "nsenter -t 100 -n ip addr add 2001:db8:30::12/64 dev eth0 nodad",
				"nsenter -t 100 -n ip neigh replace 172.30.1.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
				"nsenter -t 100 -n ip route add default via 172.30.1.1 dev eth0",
				"nsenter -t 100 -n ip -6 route add default via 2001:db8:30::1 dev eth0 metric 1024",
			},
		},
		{"lo comes up in a named namespace", func(s *snap.Snapshot) fixups.Op {
			return &fixups.LinkSet{Where: blue(s), Name: "lo", Up: true}
		}, []string{"ip -n blue link set dev lo up"}, []string{"ip -n blue link set dev lo down"}},
		{
			"a port leaves its bridge and comes back as it was", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkMaster{Where: host(s), Name: "veth1"} },
			[]string{"ip link set dev veth1 nomaster"},
			[]string{"ip link set dev veth1 master br-app"},
		},
		{
			"the MTU", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkMTU{Where: web(s), Name: "eth0", MTU: 1400} },
			[]string{"nsenter -t 100 -n ip link set dev eth0 mtu 1400"},
			[]string{"nsenter -t 100 -n ip link set dev eth0 mtu 1500"},
		},
		{
			"ARP is switched off", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkARP{Where: web(s), Name: "eth0"} },
			[]string{"nsenter -t 100 -n ip link set dev eth0 arp off"},
			[]string{"nsenter -t 100 -n ip link set dev eth0 arp on"},
		},
		{
			"a device is held down", func(s *snap.Snapshot) fixups.Op {
				return &fixups.LinkAttr{Where: web(s), Name: "eth0", Attr: "protodown", Value: "on"}
			},
			[]string{"nsenter -t 100 -n ip link set dev eth0 protodown on"},
			[]string{"nsenter -t 100 -n ip link set dev eth0 protodown off"},
		},
		{
			"the MAC", func(s *snap.Snapshot) fixups.Op {
				return &fixups.LinkMAC{Where: web(s), Name: "eth0", MAC: "02:00:00:00:00:77"}
			},
			[]string{"nsenter -t 100 -n ip link set dev eth0 address 02:00:00:00:00:77"},
			[]string{"nsenter -t 100 -n ip link set dev eth0 address 02:00:00:00:00:12"},
		},
		{
			"a port's hairpin, state and PVID", func(s *snap.Snapshot) fixups.Op {
				return &fixups.PortSet{Where: host(s), Name: "veth1", Hairpin: on, State: new(4), PVID: new(7)}
			},
			[]string{"bridge link set dev veth1 hairpin on state 4", "bridge vlan add dev veth1 vid 7 pvid untagged"},
			[]string{"bridge link set dev veth1 hairpin off state 3", "bridge vlan add dev veth1 vid 1 pvid untagged"},
		},
		{"STP on a bridge", func(s *snap.Snapshot) fixups.Op {
			return &fixups.BridgeSet{Where: host(s), Name: "br-app", STP: &yes, ForwardDelayMs: new(int64(2000))}
		}, []string{"ip link set dev br-app type bridge stp_state 1 forward_delay 200"}, []string{"ip link set dev br-app type bridge stp_state 0 forward_delay 1500"}},
		{
			"a veth pair into a container", func(s *snap.Snapshot) fixups.Op {
				return &fixups.LinkAdd{Where: host(s), Link: snap.Link{Kind: "veth", Name: "veth3"}, Peer: &fixups.LinkEnd{Where: web(s), Name: "eth1", Up: true}, Master: "br-app", Up: true}
			},
			[]string{"ip link add veth3 type veth peer name eth1 netns 100", "ip link set dev veth3 master br-app", "ip link set dev veth3 up", "nsenter -t 100 -n ip link set dev eth1 up"},
			[]string{"ip link del dev veth3"},
		},
		{"a macvlan whose lower device is the host's", func(s *snap.Snapshot) fixups.Op {
			w := host(s)
			return &fixups.LinkAdd{Where: blue(s), Link: snap.Link{Kind: "macvlan", Name: "mv0", Macvlan: &snap.Macvlan{Mode: "bridge"}}, Lower: "eth0", LowerIn: &w}
		}, []string{"ip link add mv0 link eth0 netns blue type macvlan mode bridge"}, []string{"ip -n blue link del dev mv0"}},
		{"a vxlan", func(s *snap.Snapshot) fixups.Op {
			return &fixups.LinkAdd{Where: host(s), Link: snap.Link{Kind: "vxlan", Name: "vx0", Vxlan: &snap.Vxlan{VNI: 42, Port: 4789, Local: ip("192.0.2.2")}}, Lower: "eth0"}
		}, []string{"ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.2 dev eth0 nolearning"}, []string{"ip link del dev vx0"}},
		{
			"a bridge is deleted and made again", func(s *snap.Snapshot) fixups.Op { return &fixups.LinkDel{Where: host(s), Name: "br-app"} },
			[]string{"ip link del dev br-app"},
			[]string{
				"ip link add br-app address 02:00:00:00:00:03 mtu 1500 index 3 type bridge", "ip link set dev br-app up",
				"ip link set dev veth1 master br-app", "ip link set dev veth2 master br-app", "sysctl -w net.ipv4.conf.br-app.forwarding=1",
				"ip addr add 172.30.1.1/24 broadcast 172.30.1.255 dev br-app",
			},
		},
		{"a tbf is taken off", func(s *snap.Snapshot) fixups.Op {
			return &fixups.QdiscDel{Where: host(s), Dev: "eth0", Qdisc: s.Ns("host").Link("eth0").Qdiscs[0]}
		}, []string{"tc qdisc del dev eth0 root"}, []string{"tc qdisc add dev eth0 root tbf rate 1000bit burst 2000b limit 3000b"}},
		{"a burst is set", func(s *snap.Snapshot) fixups.Op {
			q := s.Ns("host").Link("eth0").Qdiscs[0]
			q.BurstBytes = 6000
			return &fixups.QdiscBurst{Where: host(s), Dev: "eth0", Qdisc: q}
		}, []string{"tc qdisc change dev eth0 root tbf rate 1000bit burst 6000b limit 3000b"}, []string{"tc qdisc change dev eth0 root tbf rate 1000bit burst 2000b limit 3000b"}},
		{"a discipline is put back", func(s *snap.Snapshot) fixups.Op {
			return &fixups.QdiscAdd{Where: web(s), Dev: "eth0", Qdisc: snap.Qdisc{Kind: "netem", Handle: 1, Parent: 0xffffffff, LossPct: 50}}
		}, []string{"nsenter -t 100 -n tc qdisc add dev eth0 root netem loss 50%"}, []string{"nsenter -t 100 -n tc qdisc del dev eth0 root"}},
		{"classes are put back", func(s *snap.Snapshot) fixups.Op {
			return &fixups.QdiscAdd{Where: web(s), Dev: "eth0", Qdisc: snap.Qdisc{
				Kind: "htb", Handle: 0x10000, Parent: 0xffffffff, DefaultClass: 0x10012,
				Classes: []snap.TCClass{{ID: 0x10012, Parent: 0x10001, RateBps: 8000, CeilBps: 16000}, {ID: 0x10001, Parent: 0xffffffff, RateBps: 32000, CeilBps: 32000}},
			}}
		}, []string{
			"nsenter -t 100 -n tc qdisc add dev eth0 root handle 1: htb default 12",
			"nsenter -t 100 -n tc class add dev eth0 parent 1: classid 1:1 htb rate 32000bit ceil 32000bit",
			"nsenter -t 100 -n tc class add dev eth0 parent 1:1 classid 1:12 htb rate 8000bit ceil 16000bit",
		}, []string{"nsenter -t 100 -n tc qdisc del dev eth0 root"}},
		{"an address with its broadcast", func(s *snap.Snapshot) fixups.Op {
			return &fixups.AddrAdd{Where: blue(s), Dev: "eth0", Addr: snap.Addr{Prefix: pfx("172.30.1.13/24"), Bcast: ip("172.30.1.255"), Scope: "global"}}
		}, []string{"ip -n blue addr add 172.30.1.13/24 broadcast 172.30.1.255 dev eth0"}, []string{"ip -n blue addr del 172.30.1.13/24 dev eth0"}},
		{
			"the last address takes the device's routes", func(s *snap.Snapshot) fixups.Op {
				return &fixups.AddrDel{Where: web(s), Dev: "eth0", Prefix: pfx("172.30.1.12/24")}
			},
			[]string{"nsenter -t 100 -n ip addr del 172.30.1.12/24 dev eth0"},
			[]string{"nsenter -t 100 -n ip addr add 172.30.1.12/24 broadcast 172.30.1.255 dev eth0", "nsenter -t 100 -n ip route add default via 172.30.1.1 dev eth0"},
		},
		{"a first address takes the second of its subnet along", func(s *snap.Snapshot) fixups.Op {
			return &fixups.AddrDel{Where: host(s), Dev: "eth0", Prefix: pfx("192.0.2.2/24")}
		}, []string{"ip addr del 192.0.2.2/24 dev eth0"}, []string{
			"ip addr add 192.0.2.2/24 broadcast 192.0.2.255 dev eth0", "ip addr add 192.0.2.3/24 dev eth0", "ip route add default via 192.0.2.1 dev eth0",
		}},
		{"a blackhole route", func(s *snap.Snapshot) fixups.Op {
			return &fixups.RouteAdd{Where: web(s), Route: snap.Route{Type: "blackhole", Dst: pfx("198.51.100.0/24")}}
		}, []string{"nsenter -t 100 -n ip route add blackhole 198.51.100.0/24"}, []string{"nsenter -t 100 -n ip route del blackhole 198.51.100.0/24"}},
		{"the default route is deleted", func(s *snap.Snapshot) fixups.Op {
			return fixups.NewRouteDel(s, "host", snap.Route{Family: snap.IPv4, Table: 254, Type: "unicast", Dst: pfx("0.0.0.0/0"), Gateway: ip("192.0.2.1"), Oif: 2, Scope: "global", Protocol: "boot"})
		}, []string{"ip route del default via 192.0.2.1 dev eth0"}, []string{"ip route add default via 192.0.2.1 dev eth0"}},
		{"a route is replaced", func(s *snap.Snapshot) fixups.Op {
			return &fixups.RouteReplace{Where: web(s), Devs: []string{"eth0"}, Route: snap.Route{Dst: pfx("0.0.0.0/0"), Gateway: ip("172.30.1.254")}}
		}, []string{"nsenter -t 100 -n ip route replace default via 172.30.1.254 dev eth0"}, []string{"nsenter -t 100 -n ip route replace default via 172.30.1.1 dev eth0"}},
		{"a routing rule", func(s *snap.Snapshot) fixups.Op {
			return &fixups.PolicyRuleAdd{Where: web(s), Rule: snap.PolicyRule{Family: snap.IPv4, Priority: 100, Dst: pfx("198.51.100.0/24"), Action: "prohibit", SuppressPrefixLen: -1, SuppressIfgroup: -1}}
		}, []string{"nsenter -t 100 -n ip rule add from all to 198.51.100.0/24 priority 100 prohibit"}, []string{"nsenter -t 100 -n ip rule del from all to 198.51.100.0/24 priority 100 prohibit"}},
		{"a routing rule is deleted", func(s *snap.Snapshot) fixups.Op {
			return &fixups.PolicyRuleDel{Where: web(s), Rule: s.Ns(web(s).ID).Rules[1]}
		}, []string{"nsenter -t 100 -n ip rule del from all priority 32766 lookup main"}, []string{"nsenter -t 100 -n ip rule add from all priority 32766 lookup main"}},
		{"a neighbour", func(s *snap.Snapshot) fixups.Op {
			return &fixups.NeighSet{Where: web(s), Dev: "eth0", Neigh: snap.Neigh{IP: ip("172.30.1.9"), MAC: "02:00:00:00:00:09", State: "permanent"}}
		}, []string{"nsenter -t 100 -n ip neigh replace 172.30.1.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent"}, []string{"nsenter -t 100 -n ip neigh del 172.30.1.9 dev eth0"}},
		{"a neighbour is deleted", func(s *snap.Snapshot) fixups.Op {
			return &fixups.NeighDel{Where: web(s), Dev: "eth0", IP: ip("172.30.1.1")}
		}, []string{"nsenter -t 100 -n ip neigh del 172.30.1.1 dev eth0"}, []string{"nsenter -t 100 -n ip neigh replace 172.30.1.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent"}},
		{"a forwarding entry", func(s *snap.Snapshot) fixups.Op {
			return &fixups.FDBSet{Where: host(s), Dev: "veth1", Entry: snap.FDBEntry{MAC: "02:00:00:00:00:aa", State: "static"}}
		}, []string{"bridge fdb replace 02:00:00:00:00:aa dev veth1 master static"}, []string{"bridge fdb del 02:00:00:00:00:aa dev veth1 master"}},
		{"forwarding of the whole host reaches its devices", func(s *snap.Snapshot) fixups.Op {
			return &fixups.SysctlSet{Where: host(s), Key: "net/ipv4/ip_forward", Value: "1"}
		}, []string{"sysctl -w net.ipv4.ip_forward=1"}, []string{"sysctl -w net.ipv4.ip_forward=0", "sysctl -w net.ipv4.conf.br-app.forwarding=1"}},
		{"a sysctl of a device with a dot", func(s *snap.Snapshot) fixups.Op {
			return &fixups.SysctlSet{Where: host(s), Key: "net/ipv4/conf/eth0.5/rp_filter", Value: "2"}
		}, []string{"sysctl -w net/ipv4/conf/eth0.5/rp_filter=2"}, []string{"sysctl -w net/ipv4/conf/eth0.5/rp_filter=1"}},
		{"IPv6 goes off", func(s *snap.Snapshot) fixups.Op {
			return &fixups.SysctlSet{Where: web(s), Key: "net/ipv6/conf/eth0/disable_ipv6", Value: "1"}
		}, []string{"nsenter -t 100 -n sysctl -w net.ipv6.conf.eth0.disable_ipv6=1"}, []string{
			"nsenter -t 100 -n sysctl -w net.ipv6.conf.eth0.disable_ipv6=0", "nsenter -t 100 -n ip addr add 2001:db8:30::12/64 dev eth0 nodad",
			"nsenter -t 100 -n ip -6 route add default via 2001:db8:30::1 dev eth0 metric 1024",
		}},
		{"a rule is appended", func(s *snap.Snapshot) fixups.Op {
			return &fixups.RuleInsert{ChainRef: chainRef(s, snap.IPTablesNFT, snap.IPv4, "filter", "FORWARD"), Args: []string{"-i", "br-app", "!", "-o", "br-app", "-j", "ACCEPT"}}
		}, []string{"iptables -A FORWARD -i br-app ! -o br-app -j ACCEPT"}, []string{"iptables -D FORWARD -i br-app ! -o br-app -j ACCEPT"}},
		{
			"a first rule makes table and chain", func(s *snap.Snapshot) fixups.Op {
				return &fixups.RuleInsert{ChainRef: chainRef(s, snap.IPTablesNFT, snap.IPv4, "nat", "POSTROUTING"), Position: 1, Args: []string{"-s", "172.30.1.0/24", "!", "-o", "br-app", "-j", "MASQUERADE"}}
			},
			[]string{"iptables -t nat -I POSTROUTING -s 172.30.1.0/24 ! -o br-app -j MASQUERADE"},
			[]string{"iptables -t nat -D POSTROUTING -s 172.30.1.0/24 ! -o br-app -j MASQUERADE", "nft delete chain ip nat POSTROUTING", "nft delete table ip nat"},
		},
		{
			"a legacy rule", func(s *snap.Snapshot) fixups.Op {
				return &fixups.RuleInsert{ChainRef: chainRef(s, snap.IPTablesLegacy, snap.IPv4, "filter", "FORWARD"), Position: 2, Args: []string{"-p", "tcp", "--dport", "80", "-m", "comment", "--comment", "let it in", "-j", "ACCEPT"}}
			},
			[]string{"iptables-legacy -I FORWARD 2 -p tcp --dport 80 -m comment --comment 'let it in' -j ACCEPT"},
			[]string{"iptables-legacy -D FORWARD -p tcp --dport 80 -m comment --comment 'let it in' -j ACCEPT"},
		},
		{"an nft rule", func(s *snap.Snapshot) fixups.Op {
			return &fixups.RuleInsert{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", "in"), Position: 1, Text: `iifname "br-app" tcp dport 53 counter accept comment "dns"`}
		}, []string{`nft insert rule inet fw in 'iifname "br-app" tcp dport 53 counter accept comment "dns"'`}, []string{"nft -a list chain inet fw in", "nft delete rule inet fw in handle HANDLE"}},
		{"a rule is deleted by its handle", func(s *snap.Snapshot) fixups.Op {
			r := chainRef(s, snap.IPTablesNFT, snap.IPv4, "filter", "FORWARD")
			return &fixups.RuleDelete{ChainRef: r, Rule: rule(s, r, 1)}
		}, []string{"iptables -D FORWARD 1"}, []string{"# netdoctor undo puts rule 1 of filter/FORWARD back from its journal"}},
		{"a rule goes with its anonymous set", func(s *snap.Snapshot) fixups.Op {
			r := chainRef(s, snap.NFT, snap.Inet, "fw", "in")
			return &fixups.RuleDelete{ChainRef: r, Rule: rule(s, r, 1), Text: "ip saddr { 10.0.0.1 }"}
		}, []string{"nft delete rule inet fw in handle 9"}, []string{"nft insert rule inet fw in 'ip saddr { 10.0.0.1 }'"}},
		{"a legacy rule is deleted", func(s *snap.Snapshot) fixups.Op {
			r := chainRef(s, snap.IPTablesLegacy, snap.IPv4, "filter", "FORWARD")
			return &fixups.RuleDelete{ChainRef: r, Rule: rule(s, r, 1), Args: []string{"-i", "eth0", "-j", "DROP"}}
		}, []string{"iptables-legacy -D FORWARD -i eth0 -j DROP"}, []string{"iptables-legacy -I FORWARD -i eth0 -j DROP"}},
		{"a rule is put back", func(s *snap.Snapshot) fixups.Op {
			r := chainRef(s, snap.IPTablesNFT, snap.IPv4, "filter", "FORWARD")
			return &fixups.RuleRestore{ChainRef: r, Num: 3, Rule: snap.Rule{Handle: 77, Num: 3, Exprs: snap.Exprs{&snap.Counter{}}}}
		}, []string{"# netdoctor undo puts rule 3 of filter/FORWARD back from its journal"}, []string{"iptables -D FORWARD 3"}},
		{"a policy", func(s *snap.Snapshot) fixups.Op {
			return &fixups.ChainPolicy{ChainRef: chainRef(s, snap.IPTablesNFT, snap.IPv4, "filter", "FORWARD"), Policy: "accept"}
		}, []string{"iptables -P FORWARD ACCEPT"}, []string{"iptables -P FORWARD DROP"}},
		{"an nft policy", func(s *snap.Snapshot) fixups.Op {
			return &fixups.ChainPolicy{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", "in"), Policy: "drop"}
		}, []string{"nft chain inet fw in '{ policy drop ; }'"}, []string{"nft chain inet fw in '{ policy accept ; }'"}},
		{"a chain", func(s *snap.Snapshot) fixups.Op {
			return &fixups.ChainAdd{ChainRef: chainRef(s, snap.IPTablesNFT, snap.IPv4, "filter", "DOCKER-CT")}
		}, []string{"iptables -N DOCKER-CT"}, []string{"iptables -X DOCKER-CT"}},
		{"a base chain of nft", func(s *snap.Snapshot) fixups.Op {
			return &fixups.ChainAdd{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", "out"), Hook: "output", Type: "filter", Policy: "accept"}
		}, []string{"nft add chain inet fw out '{ type filter hook output priority 0 ; policy accept ; }'"}, []string{"nft delete chain inet fw out"}},
		{"a chain is deleted", func(s *snap.Snapshot) fixups.Op {
			return &fixups.ChainDel{ChainRef: chainRef(s, snap.IPTablesNFT, snap.IPv4, "filter", "SPARE")}
		}, []string{"iptables -X SPARE"}, []string{"iptables -N SPARE"}},
		{"a table", func(s *snap.Snapshot) fixups.Op {
			return &fixups.TableAdd{ChainRef: chainRef(s, snap.NFT, snap.IPv4, "mine", "")}
		}, []string{"nft add table ip mine"}, []string{"nft delete table ip mine"}},
		{"a table is deleted", func(s *snap.Snapshot) fixups.Op {
			return &fixups.TableDel{ChainRef: chainRef(s, snap.NFT, snap.IPv6, "spare", "")}
		}, []string{"nft delete table ip6 spare"}, []string{"nft add table ip6 spare"}},
		{"an element is added", func(s *snap.Snapshot) fixups.Op {
			return &fixups.SetElementAdd{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", ""), Set: "bad", Elements: []snap.Element{{Key: []byte{192, 0, 2, 7}}}}
		}, []string{"nft add element inet fw bad '{ 192.0.2.7 }'"}, []string{"nft delete element inet fw bad '{ 192.0.2.7 }'"}},
		{"an element is deleted", func(s *snap.Snapshot) fixups.Op {
			return &fixups.SetElementDel{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", ""), Set: "bad", Elements: []snap.Element{{Key: []byte{198, 51, 100, 0}, KeyEnd: []byte{198, 51, 100, 255}}}}
		}, []string{"nft delete element inet fw bad '{ 198.51.100.0/24 }'"}, []string{"nft add element inet fw bad '{ 198.51.100.0/24 }'"}},
		{"a resolv.conf", func(s *snap.Snapshot) fixups.Op {
			return &fixups.FileWrite{Owner: "docker:web", Pid: 100, Path: "/etc/resolv.conf", File: "resolv.conf", Content: "nameserver 192.0.2.53\noptions ndots:0\n"}
		}, []string{`printf '%s\n' 'nameserver 192.0.2.53' 'options ndots:0' > /proc/100/root/etc/resolv.conf`}, []string{`printf '%s\n' 'nameserver 127.0.0.11' > /proc/100/root/etc/resolv.conf`}},
		{"a hosts file", func(s *snap.Snapshot) fixups.Op {
			return &fixups.FileWrite{Owner: "docker:web", Path: "/var/lib/docker/hosts", File: "hosts", Content: "192.0.2.1 a\n", Old: new("127.0.0.1 localhost\n")}
		}, []string{`printf '%s\n' '192.0.2.1 a' > /var/lib/docker/hosts`}, []string{`printf '%s\n' '127.0.0.1 localhost' > /var/lib/docker/hosts`}},
		{"a container joins a network", func(s *snap.Snapshot) fixups.Op {
			return &fixups.EngineConnect{Ctr: ctr("web", "w1"), Network: "other", Aliases: []string{"www"}}
		}, []string{"docker network connect --alias www other web"}, []string{"docker network disconnect other web"}},
		{"a container starts", func(s *snap.Snapshot) fixups.Op { return &fixups.ContainerStart{Ctr: ctr("db", "d1")} }, []string{"docker start db"}, []string{"docker stop db"}},
		{"a container is paused", func(s *snap.Snapshot) fixups.Op { return &fixups.ContainerPause{Ctr: ctr("web", "w1")} }, []string{"docker pause web"}, []string{"docker unpause web"}},
		{"a container goes on", func(s *snap.Snapshot) fixups.Op { return &fixups.ContainerUnpause{Ctr: ctr("cache", "c1")} }, []string{"docker unpause cache"}, []string{"docker pause cache"}},
		{"podman's resolver starts", func(s *snap.Snapshot) fixups.Op {
			return &fixups.AardvarkStart{Aardvark: fixups.Aardvark{
				Program: "/usr/lib/podman/aardvark-dns", Dir: "/run/containers/networks/aardvark-dns",
				At: fixups.Listeners{{Where: host(s), Proto: snap.UDP, Addr: netip.AddrPortFrom(ip("10.89.7.1"), 53)}},
			}}
		}, []string{"/usr/lib/podman/aardvark-dns --config /run/containers/networks/aardvark-dns -p 53 run"}, []string{"kill $(cat /run/containers/networks/aardvark-dns/aardvark.pid)"}},
		{"a namespace", func(s *snap.Snapshot) fixups.Op { return &fixups.NetnsAdd{Name: "green"} }, []string{"ip netns add green"}, []string{"ip netns del green"}},
		{"a namespace that a file of one's own holds", func(*snap.Snapshot) fixups.Op {
			return &fixups.SandboxAdd{Where: fixups.Where{ID: "ctr-1", Path: "/run/own/ctr-1"}}
		}, []string{"touch /run/own/ctr-1", "unshare --net=/run/own/ctr-1 true"}, []string{"umount /run/own/ctr-1", "rm /run/own/ctr-1"}},
		{"a verdict map by device", func(s *snap.Snapshot) fixups.Op {
			m := fixups.VerdictMap("jumps")
			m.Elements = append(m.Elements, fixups.DeviceVerdict("eth0", "jump", "in"))
			return &fixups.SetAdd{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", ""), Set: m}
		}, []string{"nft add map inet fw jumps '{ type ifname : verdict ; }'", "nft add element inet fw jumps '{ \"eth0\" : jump in }'"}, []string{"nft delete set inet fw jumps"}},
		{"a named set is deleted", func(s *snap.Snapshot) fixups.Op {
			return &fixups.SetDel{ChainRef: chainRef(s, snap.NFT, snap.Inet, "fw", ""), Set: "bad"}
		}, []string{"nft delete set inet fw bad"}, []string{"nft add set inet fw bad '{ type ipv4_addr ; }'", "nft add element inet fw bad '{ 198.51.100.0/24 }'"}},
		{"an empty table is dropped", func(s *snap.Snapshot) fixups.Op {
			return &fixups.TableDrop{ChainRef: chainRef(s, snap.NFT, snap.IPv6, "spare", "")}
		}, []string{"nft delete table ip6 spare"}, []string{"nft add table ip6 spare"}},
		{"two operations are undone in reverse", func(s *snap.Snapshot) fixups.Op {
			return &fixups.Seq{Ops: fixups.Ops{
				&fixups.LinkAdd{Where: host(s), Link: snap.Link{Kind: "dummy", Name: "d0"}, Up: true},
				&fixups.AddrAdd{Where: host(s), Dev: "d0", Addr: snap.Addr{Prefix: pfx("198.51.100.1/32")}},
			}}
		}, []string{"ip link add d0 type dummy", "ip link set dev d0 up", "ip addr add 198.51.100.1/32 dev d0"}, []string{"ip addr del 198.51.100.1/32 dev d0", "ip link del dev d0"}},
	}...)
}

func TestOnAndInverseGiveTheSameSnapshotAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range opCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := world(t)
			op := tc.op(s)
			inv, err := op.Inverse(s)
			if err != nil {
				t.Fatalf("inverse: %v", err)
			}
			if inv == nil {
				t.Fatal("no inverse: the operation would change nothing")
			}
			if diff := cmp.Diff(tc.do, op.Shell()); diff != "" {
				t.Errorf("shell (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.undo, inv.Shell()); diff != "" {
				t.Errorf("shell of the inverse (-want +got):\n%s", diff)
			}
			if op.Describe() == "" || inv.Describe() == "" || op.Risk() == "" {
				t.Errorf("description %q, inverse %q, risk %q", op.Describe(), inv.Describe(), op.Risk())
			}
			before, after := sorted(s), s.Clone()
			if fixups.Holds(op, s) {
				t.Error("Holds before it is done")
			}
			do(t, after, op)
			if !same(t, before, sorted(s)) {
				t.Fatalf("On changed the snapshot that it was a clone of (-want +got):\n%s", cmp.Diff(before, sorted(s), equal()))
			}
			if same(t, before, sorted(after)) {
				t.Fatal("On changed nothing")
			}
			if !fixups.Holds(op, after) {
				t.Error("does not hold after it was done")
			}
			if again, err := op.Inverse(after); err == nil && again != nil && op.Kind() != "rule-insert" && op.Kind() != "seq" {
				t.Errorf("inverse of what is done already: %s", again.Describe())
			}
			do(t, after, inv)
			if !same(t, before, sorted(after)) {
				t.Errorf("after the inverse (-want +got):\n%s", cmp.Diff(before, sorted(after), equal()))
			}
		})
	}
}

// A user chain that is called FORWARD sees no packet: nothing would be mended,
// and iptables could no longer make its own.
func TestOwnChainOfIPTablesNeedsItsHook(t *testing.T) {
	t.Parallel()
	s := world(t)
	ref := chainRef(s, snap.IPTablesNFT, snap.IPv4, "mangle", "FORWARD")
	if err := (&fixups.TableAdd{ChainRef: ref}).On(s); err != nil {
		t.Fatal(err)
	}
	if err := (&fixups.ChainAdd{ChainRef: ref}).On(s); !errors.Is(err, snap.ErrUnsupported) {
		t.Errorf("mangle/FORWARD without a hook: %v, want %v", err, snap.ErrUnsupported)
	}
	own := &fixups.ChainAdd{ChainRef: ref, Hook: "forward", Type: "filter", Priority: -150, Policy: "accept"}
	if err := own.On(s); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"iptables -t mangle -P FORWARD ACCEPT"}, own.Shell()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"nft delete chain ip mangle FORWARD"}, (&fixups.ChainDel{ChainRef: ref}).Shell()); diff != "" {
		t.Error(diff)
	}
}
