package sim

import (
	"cmp"
	"encoding/binary"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
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
	flags := func(bits byte) snap.Exprs { // tcp flags & bits != 0
		return snap.Exprs{
			&snap.Payload{Base: "th", Offset: 13, Len: 1, Dreg: 0, Sreg: snap.NoReg},
			&snap.Bitwise{Sreg: 0, Sreg2: snap.NoReg, Dreg: 0, Len: 1, Op: "mask-xor", Mask: []byte{bits}, Xor: []byte{0}},
			&snap.Cmp{Sreg: 0, Op: "!=", Data: []byte{0}},
		}
	}
	onlyACK := snap.Exprs{&snap.Payload{Base: "th", Offset: 13, Len: 1, Dreg: 0, Sreg: snap.NoReg}, &snap.Cmp{Sreg: 0, Op: "==", Data: []byte{rules.TCPACK}}}
	longer := func(n uint16) snap.Exprs { // ip length > n
		return snap.Exprs{
			&snap.Payload{Base: "nh", Offset: 2, Len: 2, Dreg: 0, Sreg: snap.NoReg},
			&snap.Cmp{Sreg: 0, Op: ">", Data: []byte{byte(n >> 8), byte(n)}},
		}
	}
	carried := func(n uint64) snap.Exprs { // ct bytes >= n, as nft writes it
		return snap.Exprs{
			&snap.Ct{Key: "bytes", Dreg: 0, Sreg: snap.NoReg},
			&snap.Byteorder{Sreg: 0, Dreg: 0, Len: 8, Size: 8, Op: "hton"},
			&snap.Cmp{Sreg: 0, Op: ">=", Data: binary.BigEndian.AppendUint64(nil, n)},
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
		later  Later  // and with which packets; LaterAll when not given
		reply  bool   // of the server
		size   int
		narrow int // MTU of the uplink; 0: as it is
	}{
		{name: "no rule", policy: "accept", flow: flow, opens: true},
		{name: "established ones out are dropped", policy: "accept", rules: []snap.Exprs{join(out, state(established), drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, once the connection is open"},
		{name: "only new ones may leave", policy: "drop", rules: []snap.Exprs{join(out, state(isNew), accept()), join(back, state(established), accept())}, flow: flow, opens: true,
			want: "the policy of t1 forward drops it, once the connection is open"},
		{name: "new ones and established ones", policy: "drop", rules: []snap.Exprs{join(out, state(isNew|established), accept()), join(back, state(established), accept())}, flow: flow, opens: true},
		{name: "no answer comes back", policy: "accept", rules: []snap.Exprs{join(back, state(established), drop())}, flow: flow},
		{name: "data out is dropped", policy: "accept", rules: []snap.Exprs{join(out, flags(8), drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, once the connection is open", later: LaterData, size: lineBytes},
		{name: "ACKs that come back are dropped", policy: "accept", rules: []snap.Exprs{join(back, onlyACK, drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, once the connection is open", later: LaterData, reply: true},
		{name: "full packets out are dropped", policy: "accept", rules: []snap.Exprs{join(out, longer(1000), drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, as a full packet of an open connection", later: LaterFull, size: 1448},
		{name: "full packets that come back are dropped", policy: "accept", rules: []snap.Exprs{join(back, longer(1000), drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, as a full packet of an open connection", later: LaterFull, reply: true, size: 1448},
		{name: "nothing is as large as what is dropped", policy: "accept", rules: []snap.Exprs{join(out, longer(1500), drop())}, flow: flow, opens: true},
		{name: "the way is too narrow for what is dropped", policy: "accept", rules: []snap.Exprs{join(out, longer(1300), drop())}, flow: flow, opens: true, narrow: 1280},
		{name: "much is dropped", policy: "accept", rules: []snap.Exprs{join(carried(50_000), drop())}, flow: flow, opens: true,
			want: "t1 forward rule 1 drops it, once the connection has carried much", later: LaterMuch, reply: true, size: 24_824},
		{name: "very much is dropped", policy: "accept", rules: []snap.Exprs{join(carried(10_000_000), drop())}, flow: flow, opens: true},
		{name: "UDP has no handshake", policy: "accept", rules: []snap.Exprs{join(out, state(established), drop())}, flow: udp, opens: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			m.listen("internet", "udp 0.0.0.0:80")
			if c.narrow > 0 {
				m.link("host", "eth0").MTU = c.narrow
			}
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
			case l != nil && (l.Verdict != Dropped || l.Later != cmp.Or(c.later, LaterAll) || l.Size != c.size || l.Where.Detail != c.want || l.Where.Netns != "host" || l.Where.Reply != c.reply || len(l.Forward) == 0 || (len(l.Reply) > 0) != c.reply):
				t.Errorf("%s, %s, %d, %+v; want it to end in the host: %q", l.Verdict, l.Later, l.Size, l.Where, c.want)
			}
		})
	}
}
