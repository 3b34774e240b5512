package sim

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestMulticast(t *testing.T) {
	t.Parallel()
	group := ip("239.1.1.1")
	flow := Flow{From: "client", Dst: group, Proto: snap.UDP, Dport: 5000}
	member := func(m *model) {
		m.ns["web"].Groups = []snap.Group{{Index: m.link("web", "eth0").Index, IP: group}}
		m.listen("web", "udp 0.0.0.0:5000")
	}
	querier := func(m *model) {
		b := m.link("host", "br-app").Bridge
		b.McastSnooping, b.Querier4 = true, true
	}
	// deaf is the port's setting, made without moving it.
	deaf := func(m *model) { m.link("host", "veth-web").Port.McastFlood = false }
	lost := func(detail string) want {
		return want{Dropped, "host", "veth-web", CauseBridgeFlood, "", detail, false}
	}
	for _, c := range []struct {
		name string
		edit func(*model)
		want want
	}{
		{"nobody has joined, and all would get it", func(*model) {}, want{Verdict: Delivered}},
		{"a member", member, want{Verdict: Delivered}},
		{"a member whose program listens on another port", func(m *model) {
			member(m)
			m.ns["web"].Sockets = nil
		}, want{Dropped, "web", "eth0", CauseNoAnswer, "", "nothing in web answers packets to 239.1.1.1", false}},
		{"a member's port that is not flooded to", func(m *model) {
			member(m)
			deaf(m)
		}, lost("multicasts are not flooded to veth-web (mcast_flood off)")},
		{"a port that is not flooded to, of somebody who may join", deaf, lost("multicasts are not flooded to veth-web (mcast_flood off)")},
		{"a querier, and the bridge knows the member", func(m *model) {
			member(m)
			querier(m)
			deaf(m)
			m.ns["host"].MDB = []snap.MDBEntry{{Bridge: m.link("host", "br-app").Index, Port: m.link("host", "veth-web").Index, IP: group}}
		}, want{Verdict: Delivered}},
		{"a querier, and the bridge does not", func(m *model) {
			member(m)
			querier(m)
		}, lost("only to ports that have asked for it")},
		{"a querier, and nobody has joined", querier, want{Verdict: Delivered}},
		{"a rule for bridged packets", func(m *model) {
			member(m)
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", join(daddr("239.1.1.1"), drop()))
		}, want{Dropped, "host", "br-app", CauseRule, "NETFILTER_DROP", "", false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			c.edit(m)
			check(t, m.world().Trace(flow), c.want)
		})
	}
}
