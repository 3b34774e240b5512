package sim

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestLater is about rules that let a handshake through and not the connection.
func TestLater(t *testing.T) {
	t.Parallel()
	const isNew, established = 8, 2 // NF_CT_STATE_BIT, include/uapi/linux/netfilter/xt_conntrack.h
	state := func(bits byte) snap.Exprs {
		return snap.Exprs{
			&snap.Ct{Key: "state", Dreg: 0, Sreg: snap.NoReg},
			&snap.Bitwise{Sreg: 0, Sreg2: snap.NoReg, Dreg: 0, Len: 4, Op: "mask-xor", Mask: []byte{bits, 0, 0, 0}, Xor: make([]byte, 4)},
			&snap.Cmp{Sreg: 0, Op: "!=", Data: make([]byte, 4)},
		}
	}
	out, back := ifname("iifname", "br-app"), ifname("oifname", "br-app")
	flow := tcp80("client", "198.51.100.7")
	udp := flow
	udp.Proto = snap.UDP
	for _, c := range []struct {
		name   string
		policy string
		rules  []snap.Exprs
		flow   Flow
		opens  bool
		want   string // where the connection ends; "" nowhere
	}{
		{name: "no rule", policy: "accept", flow: flow, opens: true},
		{name: "established ones out are dropped", policy: "accept", rules: []snap.Exprs{join(out, state(established), drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, once the connection is open"},
		{name: "only new ones may leave", policy: "drop", rules: []snap.Exprs{join(out, state(isNew), accept()), join(back, state(established), accept())}, flow: flow, opens: true,
			want: "the policy of t1 forward drops it, once the connection is open"},
		{name: "new ones and established ones", policy: "drop", rules: []snap.Exprs{join(out, state(isNew|established), accept()), join(back, state(established), accept())}, flow: flow, opens: true},
		{name: "no answer comes back", policy: "accept", rules: []snap.Exprs{join(back, state(established), drop())}, flow: flow},
		{name: "UDP has no handshake", policy: "accept", rules: []snap.Exprs{join(out, state(established), drop())}, flow: udp, opens: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			m.listen("internet", "udp 0.0.0.0:80")
			m.chain("host", snap.IPv4, "filter", "forward", 0, c.policy, c.rules...)
			w := m.world()
			first := w.Trace(c.flow)
			if got := opens(first); got != c.opens {
				t.Fatalf("the handshake succeeds: %v, want %v (%+v)", got, c.opens, first.Where)
			}
			l := w.Later(first)
			switch {
			case l == nil && c.want != "":
				t.Errorf("the connection works, want it to end: %s", c.want)
			case l != nil && (l.Verdict != Dropped || !l.Later || l.Where.Detail != c.want || l.Where.Netns != "host" || l.Where.Reply || len(l.Forward) == 0 || len(l.Reply) > 0):
				t.Errorf("%s, %+v; want it to end in the host: %q", l.Verdict, l.Where, c.want)
			}
		})
	}
}
