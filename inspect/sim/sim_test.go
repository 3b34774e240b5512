package sim

import (
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// want is what a case checks of a trace.
type want struct {
	Verdict Verdict
	Netns   string
	Device  string
	Cause   Cause
	Reason  string
	Detail  string // must occur in Where.Detail
	Reply   bool
}

func check(t *testing.T, got *Trace, w want) {
	t.Helper()
	g := want{Verdict: got.Verdict}
	if got.Where != nil {
		g.Netns, g.Device, g.Cause, g.Reason, g.Reply = got.Where.Netns, got.Where.Device, got.Where.Cause, got.Where.Reason, got.Where.Reply
		if strings.Contains(got.Where.Detail, w.Detail) {
			g.Detail = w.Detail
		} else {
			g.Detail = got.Where.Detail
		}
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("(-want +got)\n%s%s", diff, trail(got))
	}
}

// TestWays follows one packet through a host with one thing wrong, or none.
func TestWays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*model)
		flow Flow
		want want
	}{
		{name: "two containers of one bridge", flow: tcp80("client", "172.18.0.2"), want: want{Verdict: Delivered}},
		{
			name: "a closed port refuses", flow: Flow{From: "client", Dst: ip("172.18.0.2"), Proto: snap.TCP, Dport: 81},
			want: want{Refused, "web", "eth0", CauseNoListener, "NO_SOCKET", "nothing in web listens on 172.18.0.2:81/tcp", false},
		},
		{
			name: "a closed UDP port answers port unreachable", flow: Flow{From: "client", Dst: ip("198.51.100.7"), Proto: snap.UDP, Dport: 9},
			want: want{Refused, "internet", "eth0", CauseNoListener, "NO_SOCKET", "", false},
		},
		{name: "out to the internet by masquerade", flow: tcp80("client", "198.51.100.7"), want: want{Verdict: Delivered}},
		{name: "routed between bridges", flow: tcp80("client", "172.19.0.2"), want: want{Verdict: Delivered}},
		{name: "to itself", flow: tcp80("web", "172.18.0.2"), want: want{Verdict: Delivered}},
		{name: "to its loopback", flow: tcp80("web", "127.0.0.1"), want: want{Verdict: Delivered}},
		{name: "to 0.0.0.0", flow: tcp80("web", "0.0.0.0"), want: want{Verdict: Delivered}},
		{name: "echo", flow: Flow{From: "client", Dst: ip("198.51.100.7"), Proto: snap.ICMP}, want: want{Verdict: Delivered}},
		{
			name: "echo ignored", edit: func(m *model) { m.sysctl("web", "net/ipv4/icmp_echo_ignore_all", "1") },
			flow: Flow{From: "client", Dst: ip("172.18.0.2"), Proto: snap.ICMP},
			want: want{Dropped, "web", "eth0", CauseNoAnswer, "", "icmp_echo_ignore_all=1 in web", false},
		},
		{
			name: "no route", edit: func(m *model) { m.ns["client"].Routes = m.ns["client"].Routes[:len(m.ns["client"].Routes)-1] },
			flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "client", "", CauseNoRoute, "ENETUNREACH", "client has no route to 198.51.100.7", false},
		},
		{
			name: "a route that refuses", edit: func(m *model) { m.route("client", "prohibit 198.51.100.0/24") },
			flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "client", "", CauseReject, "EACCES", "prohibit 198.51.100.0/24", false},
		},
		{
			name: "blackhole on the way", edit: func(m *model) { m.route("host", "blackhole 198.51.100.0/24") },
			flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "host", "br-app", CauseReject, "NOT_SPECIFIED", "", false},
		},
		{
			name: "forwarding off", edit: func(m *model) { m.sysctl("host", "net/ipv4/ip_forward", "0") },
			flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "host", "br-app", CauseForwardingOff, "IP_INADDRERRORS", "ip_forward=0 in host", false},
		},
		{
			name: "forwarding off on one device stops what comes in there", edit: func(m *model) { m.sysctl("host", "net/ipv4/conf/eth0/forwarding", "0") },
			flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "host", "eth0", CauseForwardingOff, "IP_INADDRERRORS", "forwarding=0 on eth0", true},
		},
		{
			name: "bridge down", edit: func(m *model) { m.link("host", "br-app").Up = false },
			flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseLinkDown, "NEIGH_FAILED", "172.18.0.2 answers no ARP on eth0: br-app is down", false},
		},
		{
			name: "the container's end is down", edit: func(m *model) { m.link("web", "eth0").Up = false },
			flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseNoCarrier, "NEIGH_FAILED", "eth0 of web, the other end of veth-web, is down", false},
		},
		{
			name: "on no bridge", edit: func(m *model) { l := m.link("host", "veth-web"); l.Master, l.Port = 0, nil },
			flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseNeighFailed, "NEIGH_FAILED", "172.18.0.2 answers no ARP on eth0", false},
		},
		{name: "isolated ports", edit: func(m *model) {
			m.link("host", "veth-web").Port.Isolated, m.link("host", "veth-client").Port.Isolated = true, true
		}, flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseIsolated, "NEIGH_FAILED", "are both isolated ports of br-app", false}},
		{
			name: "blocking port", edit: func(m *model) { m.link("host", "veth-web").Port.State = snap.PortBlocking },
			flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CausePortState, "NEIGH_FAILED", "veth-web is in the state blocking on br-app", false},
		},
		{name: "a port that somebody disabled", edit: func(m *model) {
			l := m.link("host", "veth-web")
			l.Port.State, l.OperState = snap.PortDisabled, "up"
		}, flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CausePortState, "NEIGH_FAILED", "veth-web is in the state disabled on br-app", false}},
		{name: "a port that the kernel has not enabled yet", edit: func(m *model) {
			l := m.link("host", "veth-web")
			l.Port.State, l.OperState = snap.PortDisabled, "lowerlayerdown"
		}, flow: tcp80("client", "172.18.0.2"), want: want{Verdict: Delivered}},
		{
			name: "arp_ignore", edit: func(m *model) { m.sysctl("web", "net/ipv4/conf/all/arp_ignore", "8") },
			flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseNoAnswer, "NEIGH_FAILED", "arp_ignore=8 on eth0 of web", false},
		},
		{name: "wrong VLAN", edit: func(m *model) {
			m.link("host", "br-app").Bridge = &snap.Bridge{VlanFiltering: true}
			m.ns["host"].Vlans = []snap.BridgeVlan{
				{Index: m.link("host", "veth-web").Index, VID: 20, PVID: true, Untagged: true},
				{Index: m.link("host", "veth-client").Index, VID: 1, PVID: true, Untagged: true},
			}
		}, flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseVlan, "NEIGH_FAILED", "veth-web is not in VLAN 1", false}},
		{name: "a remembered MAC that nobody has", edit: func(m *model) {
			m.ns["client"].Neighs = []snap.Neigh{{Index: 2, IP: ip("172.18.0.2"), MAC: "02:00:00:00:00:99", State: "permanent"}}
		}, flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "web", "eth0", CauseWrongMAC, "OTHERHOST", "client has 172.18.0.2 at 02:00:00:00:00:99 (permanent)", false}},
		{name: "the host sends to a port's own MAC: it leaves by that port", edit: func(m *model) { // net/bridge/br_device.c:br_dev_xmit
			mac := "02:00:00:00:00:98"
			br, port := m.link("host", "br-app").Index, m.link("host", "veth-web").Index
			m.ns["host"].Neighs = []snap.Neigh{{Index: br, IP: ip("172.18.0.2"), MAC: mac, State: "permanent"}}
			m.ns["host"].FDB = append(m.ns["host"].FDB, snap.FDBEntry{Index: port, Master: br, MAC: mac, State: "permanent", Local: true})
		}, flow: tcp80("host", "172.18.0.2"), want: want{Dropped, "web", "eth0", CauseWrongMAC, "OTHERHOST", "host has 172.18.0.2 at 02:00:00:00:00:98 (permanent)", false}},
		{name: "two holders of one address", edit: func(m *model) {
			m.netns("twin", "")
			m.veth("host", "veth-twin", "twin", "eth0")
			m.port("host", "veth-twin", "br-app")
			m.addr("twin", "eth0", "172.18.0.2/16")
		}, flow: tcp80("client", "172.18.0.2"), want: want{Unknown, "client", "eth0", CauseDuplicate, "", "duplicate address 172.18.0.2: eth0 of web and eth0 of twin answer for it", false}},
		{name: "strict rp_filter", edit: func(m *model) {
			m.sysctl("host", "net/ipv4/conf/br-app/rp_filter", "1")
			m.route("host", "172.18.0.3/32 dev br-data")
			m.ns["client"].Neighs = []snap.Neigh{{Index: m.link("client", "eth0").Index, IP: ip("172.18.0.1"), MAC: m.link("host", "br-app").MAC, State: "reachable"}}
		}, flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "host", "br-app", CauseRPFilter, "IP_RPFILTER", "rp_filter=1 on br-app: the way back to 172.18.0.3 is br-data", false}},
		{name: "strict rp_filter takes no ARP question either", edit: func(m *model) { // net/ipv4/arp.c:arp_process asks the routes
			m.sysctl("host", "net/ipv4/conf/br-app/rp_filter", "1")
			m.route("host", "172.18.0.3/32 dev br-data")
		}, flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "client", "eth0", CauseRPFilter, "NEIGH_FAILED", "rp_filter=1 on br-app: the way back to 172.18.0.3 is br-data", false}},
		{name: "loose rp_filter lets it in, the answer goes astray", edit: func(m *model) {
			m.sysctl("host", "net/ipv4/conf/br-app/rp_filter", "2")
			m.route("host", "172.18.0.3/32 dev br-data")
		}, flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "host", "br-data", CauseNeighFailed, "NEIGH_FAILED", "172.18.0.3 answers no ARP on br-data", true}},
		{
			name: "an address of the host's own comes in: already its ARP is not answered", edit: func(m *model) { m.addr("client", "eth0", "192.0.2.2/32") },
			flow: Flow{From: "client", Src: ip("192.0.2.2"), Dst: ip("198.51.100.7"), Proto: snap.TCP, Dport: 80},
			want: want{Dropped, "client", "eth0", CauseMartian, "NEIGH_FAILED", "192.0.2.2 is an address of host itself, and comes in by br-app", false},
		},
		{
			name: "too big for the way", edit: func(m *model) { m.link("host", "eth0").MTU = 1400 },
			flow: Flow{From: "client", Dst: ip("198.51.100.7"), Proto: snap.UDP, Dport: 53, Size: 1450, DF: true},
			want: want{Dropped, "host", "br-app", CauseMTU, "PKT_TOO_BIG", "1478 bytes do not fit the MTU 1400 of eth0", false},
		},
		{
			name: "too big for the sender", edit: func(m *model) { m.link("client", "eth0").MTU = 1400 },
			flow: Flow{From: "client", Dst: ip("198.51.100.7"), Proto: snap.UDP, Dport: 53, Size: 1450, DF: true},
			want: want{Dropped, "client", "eth0", CauseMTU, "EMSGSIZE", "1478 bytes do not fit the MTU 1400 of eth0", false},
		},
		{
			name: "fragments fit", edit: func(m *model) { m.link("client", "eth0").MTU = 1400 },
			flow: Flow{From: "client", Dst: ip("198.51.100.7"), Proto: snap.UDP, Dport: 53, Size: 1450}, want: want{Verdict: Delivered},
		},
		{
			name: "the receiving veth is narrower", edit: func(m *model) { m.link("web", "eth0").MTU = 1400 },
			flow: Flow{From: "client", Dst: ip("172.18.0.2"), Proto: snap.UDP, Dport: 53, Size: 1450, DF: true},
			want: want{Dropped, "host", "veth-web", CauseMTU, "", "1478 bytes do not fit the MTU 1400 of eth0 of web", false},
		},
		{name: "a stopped process answers no UDP", edit: func(m *model) {
			m.ns["web"].Sockets[1].Process = &snap.Process{Name: "dnsd", PID: 7, State: "T"}
		}, flow: Flow{From: "client", Dst: ip("172.18.0.2"), Proto: snap.UDP, Dport: 53}, want: want{Dropped, "web", "eth0", CauseNoAnswer, "", "is stopped", false}},
		{name: "routes in a circle", edit: func(m *model) {
			m.route("host", "203.0.113.0/24 via 172.18.0.2 dev br-app")
			m.sysctl("web", "net/ipv4/ip_forward", "1")
		}, flow: tcp80("client", "203.0.113.9"), want: want{Dropped, "web", "eth0", CauseLoop, "IP_INHDR", "goes round in circles", false}},
		{
			name: "TTL used up", flow: Flow{From: "client", Dst: ip("198.51.100.7"), Proto: snap.TCP, Dport: 80, TTL: 1},
			want: want{Dropped, "host", "br-app", CauseTTL, "IP_INHDR", "the TTL is used up", false},
		},
		{name: "all packets lost by netem", edit: func(m *model) {
			m.link("host", "eth0").Qdiscs = []snap.Qdisc{{Kind: "netem", LossPct: 100}}
		}, flow: tcp80("client", "198.51.100.7"), want: want{Dropped, "host", "eth0", CauseTC, "NEIGH_FAILED", "192.0.2.1 answers no ARP on eth0: netem on eth0 loses 100 %", false}},
		{
			name: "an XDP program is not read", edit: func(m *model) { m.link("host", "eth0").XDP = &snap.XDP{Name: "filter"} },
			flow: tcp80("client", "198.51.100.7"), want: want{Unknown, "host", "eth0", CauseXDP, "", "filter on eth0 may do anything", false},
		},
		{
			name: "one that drops everything is followed", edit: func(m *model) { m.link("host", "veth-web").XDP = &snap.XDP{ProgID: 7, Always: "drop"} },
			flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "client", "eth0", CauseXDP, "NEIGH_FAILED", "answers no ARP on eth0: XDP program 7 on veth-web drops all that it receives", false},
		},
		{
			name: "and one that passes everything", edit: func(m *model) { m.link("host", "veth-web").XDP = &snap.XDP{ProgID: 7, Always: "pass"} },
			flow: tcp80("client", "172.18.0.2"), want: want{Verdict: Delivered},
		},
		{name: "a virtual service of IPVS", edit: func(m *model) {
			m.addr("host", "br-app", "10.96.0.1/32")
			m.ns["host"].IPVS = []snap.IPVSService{{Family: snap.IPv4, Proto: 6, Addr: netip.MustParseAddrPort("10.96.0.1:80"), Sched: "rr", Dests: []snap.IPVSDest{
				{Addr: netip.MustParseAddrPort("172.18.0.2:80"), Weight: 1, Method: "masq"}, {Addr: netip.MustParseAddrPort("172.19.0.2:80"), Weight: 0, Method: "masq"},
			}}}
		}, flow: tcp80("client", "10.96.0.1"), want: want{Unknown, "host", "br-app", CauseModel, "", "IPVS of host sends it to one of 172.18.0.2:80 (rr)", false}},
		{name: "and another port of its address", edit: func(m *model) {
			m.addr("host", "br-app", "10.96.0.1/32")
			m.ns["host"].IPVS = []snap.IPVSService{{Family: snap.IPv4, Proto: 6, Addr: netip.MustParseAddrPort("10.96.0.1:81"), Sched: "rr"}}
		}, flow: tcp80("client", "10.96.0.1"), want: want{Refused, "host", "br-app", CauseNoListener, "NO_SOCKET", "", false}},
		{name: "a table of routes that could not be read", edit: func(m *model) {
			m.s.Gaps = []snap.Gap{{What: "policy rules", Netns: "host", Kind: "torn", Why: "dump interrupted"}}
		}, flow: tcp80("client", "198.51.100.7"), want: want{Unknown, "client", "eth0", CauseUnread, "", "policy rules of host could not be read", false}},
		{name: "rules that could not be read", edit: func(m *model) {
			m.ns["host"].Ruleset = snap.Ruleset{}
			m.s.Gaps = []snap.Gap{{What: "ruleset", Netns: "host", Kind: "permission", Why: "operation not permitted"}}
		}, flow: tcp80("client", "198.51.100.7"), want: want{Unknown, "host", "br-app", CauseUnread, "", "ruleset of host could not be read", false}},
		{
			name: "from an address that is not ours", flow: Flow{From: "client", Src: ip("203.0.113.1"), Dst: ip("172.18.0.2"), Proto: snap.TCP, Dport: 80},
			want: want{Dropped, "client", "", CauseSelfSource, "EINVAL", "client has no address 203.0.113.1", false},
		},
		{
			name: "broadcast is refused by nobody", flow: Flow{From: "host", Dst: ip("255.255.255.255"), Proto: snap.UDP, Dport: 9999},
			want: want{Dropped, "internet", "eth0", CauseNoAnswer, "", "answers packets to 255.255.255.255", false},
		},
		{name: "tc drops by protocol", edit: func(m *model) {
			m.link("host", "veth-web").Filters = []snap.TCFilter{{Hook: "egress", Kind: "u32", Protocol: 0x0800, Actions: []string{"drop"}, U32: []snap.U32Key{{Mask: 0xff0000, Val: 0x060000, Off: 8}}}}
		}, flow: tcp80("client", "172.18.0.2"), want: want{Dropped, "host", "veth-web", CauseTC, "TC_EGRESS", "tc u32 on veth-web egress drops it", false}},
		{name: "tc with a program that was not read", edit: func(m *model) {
			m.link("host", "veth-web").Filters = []snap.TCFilter{{Hook: "egress", Kind: "bpf", Name: "cil", Protocol: 3, Opaque: true, Actions: []string{"bpf:cil"}}}
		}, flow: tcp80("client", "172.18.0.2"), want: want{Unknown, "client", "eth0", CauseTC, "", "tc bpf cil on veth-web egress may do anything", false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			if c.edit != nil {
				c.edit(m)
			}
			check(t, m.world().Trace(c.flow), c.want)
		})
	}
}

// TestHairpin is the measured table: a client on a bridge asks the host's
// address for a port that is published by a container of the same bridge.
func TestHairpin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		nf, forward         bool
		masq, port, ownPort bool // bridge-to-bridge masquerade, hairpin on the ports, the client is the container itself
		want                want
	}{
		{name: "bridge-nf: works without masquerade", nf: true, forward: true, want: want{Verdict: Delivered}},
		{name: "bridge-nf: works with masquerade", nf: true, forward: true, masq: true, want: want{Verdict: Delivered}},
		{
			name: "bridge-nf: own port without hairpin", nf: true, forward: true, ownPort: true,
			want: want{Dropped, "host", "veth-web", CauseHairpin, "NOT_SPECIFIED", "it came in by veth-web and would leave by it", false},
		},
		{
			name: "bridge-nf: own port with hairpin", nf: true, forward: true, port: true, ownPort: true,
			want: want{Dropped, "web", "eth0", CauseMartian, "IP_LOCAL_SOURCE", "172.18.0.2 is an address of web itself", false},
		},
		{name: "bridge-nf: own port with hairpin and masquerade", nf: true, forward: true, masq: true, port: true, ownPort: true, want: want{Verdict: Delivered}},
		{name: "bridge-nf without forwarding", nf: true, want: want{Dropped, "host", "br-app", CauseForwardingOff, "IP_INADDRERRORS", "", false}},
		{
			name: "routed: the answer goes straight to the client", forward: true,
			want: want{Dropped, "client", "eth0", CauseNoListener, "NO_SOCKET", "the answer comes from 172.18.0.2:80 to 172.18.0.3:45678, but client asked 192.0.2.2:8080", true},
		},
		{name: "routed with masquerade", forward: true, masq: true, want: want{Verdict: Delivered}},
		{name: "routed: own port", forward: true, ownPort: true, want: want{Dropped, "web", "eth0", CauseMartian, "IP_LOCAL_SOURCE", "", false}},
		{name: "routed: own port with masquerade needs no hairpin", forward: true, masq: true, ownPort: true, want: want{Verdict: Delivered}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			on := map[bool]string{true: "1", false: "0"}
			m.sysctl("host", "net/ipv4/ip_forward", on[c.forward])
			m.sysctl("host", "net/bridge/bridge-nf-call-iptables", on[c.nf])
			m.link("host", "veth-web").Port.Hairpin = c.port
			m.chain("host", snap.IPv4, "nat", "prerouting", -100, "accept", join(daddr("192.0.2.2"), l4(6), dport(8080), dnat("172.18.0.2", 80)))
			if c.masq {
				m.chain("host", snap.IPv4, "nat", "postrouting", 101, "accept", join(daddr("172.18.0.2"), l4(6), dport(80), masq()))
			}
			from := "client"
			if c.ownPort {
				from = "web"
			}
			check(t, m.world().Trace(Flow{From: from, Dst: ip("192.0.2.2"), Proto: snap.TCP, Dport: 8080}), c.want)
		})
	}
}

// TestConcurrent asks one world from several goroutines.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	w := docker(t).world()
	var wg sync.WaitGroup
	for _, to := range []string{"172.18.0.2", "198.51.100.7", "172.19.0.2", "192.0.2.2"} {
		wg.Go(func() {
			for _, from := range []string{"client", "web", "db"} {
				if v := w.Trace(tcp80(from, to)).Verdict; v == Unknown {
					t.Errorf("%s to %s: unknown", from, to)
				}
			}
		})
	}
	wg.Wait()
}
