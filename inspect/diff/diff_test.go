package diff_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diff"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// host is a recorded host with Docker 20.10.
func host(t *testing.T) *snap.Snapshot {
	t.Helper()
	s, err := inspect.ReadFile("../../cmd/cli/testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func texts(cs []diff.Change) []string {
	var out []string
	for _, c := range cs {
		out = append(out, strings.TrimSpace(c.Netns+" "+c.Sign+" "+c.Text))
	}
	return out
}

// TestChanges: each thing that happens to a host is told in one clause, points at
// a line that is there, and made alone on the older state gives the newer.
func TestChanges(t *testing.T) {
	t.Parallel()
	link := func(s *snap.Snapshot, ns, name string) *snap.Link { return s.Ns(ns).Link(name) }
	port := func(s *snap.Snapshot) *snap.Link {
		h := s.HostNs()
		for i := range h.Links {
			if l := &h.Links[i]; l.Master == h.Link("br-app").Index && l.PeerNetns == "web" {
				return l
			}
		}
		t.Fatal("web has no port")
		return nil
	}
	chain := func(s *snap.Snapshot, table, name string) *snap.Chain {
		return s.HostNs().Ruleset.Table(snap.IPTablesNFT, snap.IPv4, table).Chain(name)
	}
	for name, c := range map[string]struct {
		happens func(*snap.Snapshot)
		want    []string
		apart   bool // no change that can be made alone
	}{
		"nothing": {func(*snap.Snapshot) {}, nil, false},
		"what moves by itself": {func(s *snap.Snapshot) {
			chain(s, "filter", "FORWARD").Rules[0].Packets += 100
			s.HostNs().Neighs = nil
			s.HostNs().Conntrack = nil
			s.HostNs().Sockets = append(s.HostNs().Sockets, snap.Socket{Proto: snap.UDP, Local: netip.MustParseAddrPort("0.0.0.0:45000")})
		}, nil, false},
		"a port leaves its bridge": {func(s *snap.Snapshot) { l := port(s); l.Master, l.Port = 0, nil }, []string{"host ~ PORT left br-app"}, false},
		"a bridge goes down": {func(s *snap.Snapshot) {
			l := link(s, "host", "br-app")
			l.Up, l.LowerUp, l.Running, l.OperState = false, false, false, "down"
			s.HostNs().Routes = slices.DeleteFunc(s.HostNs().Routes, func(r snap.Route) bool { return r.Oif == l.Index })
		}, []string{"host ~ br-app is down"}, false},
		"a neighbour is pinned": {func(s *snap.Snapshot) {
			h := s.HostNs()
			h.Neighs = append(h.Neighs, snap.Neigh{Index: h.Link("br-app").Index, IP: netip.MustParseAddr("172.30.1.77"), MAC: "02:00:00:00:00:77", State: "permanent"})
		}, []string{"host + neighbour pinned: 172.30.1.77 dev br-app is at 02:00:00:00:00:77 for good"}, false},
		"a forwarding entry by hand": {func(s *snap.Snapshot) {
			h, l := s.HostNs(), port(s)
			h.FDB = append(h.FDB, snap.FDBEntry{Index: l.Index, Master: l.Master, MAC: "02:00:00:00:00:77", State: "static"})
		}, []string{"host + forwarding entry added: 02:00:00:00:00:77 dev PORT"}, false},
		"a small packet size": {func(s *snap.Snapshot) { link(s, "web", "eth0").MTU = 1400 }, []string{"web ~ mtu of eth0 1500 → 1400"}, false},
		"a lost address, and the kernel's route": {func(s *snap.Snapshot) {
			h := s.HostNs()
			i := h.Link("br-app").Index
			h.Addrs = slices.DeleteFunc(h.Addrs, func(a snap.Addr) bool { return a.Index == i && a.Prefix.Addr().Is4() })
			h.Routes = slices.DeleteFunc(h.Routes, func(r snap.Route) bool { return r.Oif == i && r.Family == snap.IPv4 })
		}, []string{"host - br-app lost its address 172.30.1.1/24"}, false},
		"another gateway": {func(s *snap.Snapshot) {
			w := s.Ns("web")
			for i := range w.Routes {
				if w.Routes[i].Dst.Bits() == 0 {
					w.Routes[i].Gateway = netip.MustParseAddr("172.30.1.254")
				}
			}
		}, []string{"web - route removed: default via 172.30.1.1 dev eth0", "web + route added: default via 172.30.1.254 dev eth0"}, false},
		"forwarding off, with all that the kernel makes of it": {func(s *snap.Snapshot) {
			for k := range s.HostNs().Sysctls {
				if k == "net/ipv4/ip_forward" || strings.HasPrefix(k, "net/ipv4/conf/") && strings.HasSuffix(k, "/forwarding") {
					s.HostNs().OwnSysctls()[k] = "0"
				}
			}
		}, []string{"host ~ net.ipv4.ip_forward 1 → 0"}, false},
		"a policy":    {func(s *snap.Snapshot) { chain(s, "filter", "FORWARD").Policy = "accept" }, []string{"host ~ policy of filter FORWARD drop → accept"}, false},
		"a rule gone": {func(s *snap.Snapshot) { c := chain(s, "nat", "POSTROUTING"); c.Rules = slices.Delete(c.Rules, 0, 1) }, []string{"host - rule removed from nat POSTROUTING: RULE"}, false},
		"a rule moved": {func(s *snap.Snapshot) {
			c := chain(s, "filter", "FORWARD")
			r := c.Rules[0]
			c.Rules = append(slices.Delete(c.Rules, 0, 1), r)
		}, []string{"host ~ rule of filter FORWARD moved from 1 to N: RULE"}, false},
		"nothing listens": {func(s *snap.Snapshot) {
			w := s.Ns("web")
			w.Sockets = slices.DeleteFunc(w.Sockets, func(k snap.Socket) bool { return k.Local.Port() == 80 })
		}, []string{"web - nothing listens on [::]:80/tcp any more (PROCESS)"}, false},
		"another name server": {func(s *snap.Snapshot) {
			s.Resolver("host").ResolvConf.Nameservers = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
		}, []string{"host ~ name servers of host: SERVERS → 192.0.2.53"}, false},
		"a container ends":        {func(s *snap.Snapshot) { c := s.Container("docker:lonely"); c.State, c.ExitCode = "exited", 137 }, []string{"~ docker:lonely running → exited (code 137)"}, true},
		"a container leaves":      {func(s *snap.Snapshot) { s.Container("docker:web").Endpoints = nil }, []string{"~ docker:web left network app"}, true},
		"a port is not published": {func(s *snap.Snapshot) { s.Container("docker:web").Ports = nil }, []string{"~ docker:web does not publish 0.0.0.0:8080→80/tcp any more", "~ docker:web does not publish [::]:8080→80/tcp any more"}, true},
		"the engine falls silent": {func(s *snap.Snapshot) { s.Engine("docker").Reachable, s.Engine("docker").Error = false, "timed out" }, []string{"~ docker does not answer any more: timed out"}, true},
		"a network is internal":   {func(s *snap.Snapshot) { s.Network("docker:app").Internal = true }, []string{"~ internal of network docker:app: off → on"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := host(t)
			b := a.Clone()
			c.happens(b)
			got := diff.Of(a, b)
			words := texts(got)
			for i := range words { // what the recording chose
				words[i] = strings.NewReplacer(port(a).Name, "PORT", "busybox", "PROCESS").Replace(words[i])
				if at := strings.Index(words[i], ": "); strings.Contains(words[i], " rule ") && at > 0 {
					words[i] = words[i][:at] + ": RULE"
				}
				if strings.Contains(words[i], " moved from ") {
					words[i] = words[i][:strings.Index(words[i], " to ")] + " to N: RULE"
				}
				if strings.Contains(words[i], "name servers") {
					words[i] = "host ~ name servers of host: SERVERS" + words[i][strings.Index(words[i], " → "):]
				}
			}
			if d := cmp.Diff(c.want, words); d != "" {
				t.Fatalf("(-want +got)\n%s", d)
			}
			made := a.Clone()
			for i := range got {
				where := b
				if got[i].Sign == "-" {
					where = a
				}
				if _, err := where.At(got[i].Ref); err != nil {
					t.Errorf("%s: %v", got[i].Text, err)
				}
				if got[i].On(made) == c.apart {
					t.Errorf("%s: can be made alone: %v", got[i].Text, !c.apart)
				}
			}
			if left := diff.Of(made, b); !c.apart && len(left) > 0 {
				t.Errorf("made one after the other they leave %q", texts(left))
			}
			if back := diff.Of(b, a); len(back) != len(got) {
				t.Errorf("backwards there are %d changes: %q", len(back), texts(back))
			}
		})
	}
}

// TestRulesInAnyOrder: whatever happens to a chain, the changes made one after the
// other on the older one give the rules of the newer, each as often as there.
func TestRulesInAnyOrder(t *testing.T) {
	t.Parallel()
	base := host(t)
	pool := base.HostNs().Ruleset.Table(snap.IPTablesNFT, snap.IPv4, "filter").Chain("FORWARD").Rules
	if len(pool) < 6 {
		t.Fatalf("only %d rules recorded", len(pool))
	}
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.IntRange(0, len(pool)-1), 0, len(pool), rapid.ID)
		with := func(s *snap.Snapshot, order []int) *snap.Snapshot {
			s = s.Clone()
			c := s.HostNs().Ruleset.Table(snap.IPTablesNFT, snap.IPv4, "filter").Chain("FORWARD")
			c.Rules = nil
			for _, i := range order {
				c.Rules = append(c.Rules, pool[i])
			}
			return s
		}
		a, b := with(base, list.Draw(t, "a")), with(base, list.Draw(t, "b"))
		changes := diff.Of(a, b)
		for i := range changes {
			changes[i].On(a)
		}
		got, want := a.HostNs().Ruleset.Table(snap.IPTablesNFT, snap.IPv4, "filter").Chain("FORWARD").Rules, b.HostNs().Ruleset.Table(snap.IPTablesNFT, snap.IPv4, "filter").Chain("FORWARD").Rules
		if len(got) != len(want) {
			t.Fatalf("%d rules, want %d", len(got), len(want))
		}
		seen := map[uint64]int{}
		for i := range want {
			seen[want[i].Handle]++
			seen[got[i].Handle]--
		}
		for h, n := range seen {
			if n != 0 {
				t.Fatalf("rule %d is there %d times too few", h, n)
			}
		}
	})
}
