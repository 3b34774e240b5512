package rules

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"sync"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// kinds are all expressions there are.
func kinds() []snap.Expr {
	return []snap.Expr{
		&snap.Immediate{}, &snap.Payload{}, &snap.Meta{}, &snap.Cmp{}, &snap.Range{}, &snap.Bitwise{}, &snap.Byteorder{}, &snap.Lookup{}, &snap.Dynset{}, &snap.Ct{},
		&snap.Fib{}, &snap.Exthdr{}, &snap.Rt{}, &snap.Nat{}, &snap.Masq{}, &snap.Redir{}, &snap.Tproxy{}, &snap.Reject{}, &snap.Counter{}, &snap.Log{}, &snap.Limit{},
		&snap.Quota{}, &snap.Connlimit{}, &snap.Numgen{}, &snap.Hash{}, &snap.Objref{}, &snap.Queue{}, &snap.Dup{}, &snap.Fwd{}, &snap.Notrack{}, &snap.FlowOffload{},
		&snap.Synproxy{}, &snap.SocketExpr{}, &snap.Xt{}, &snap.XtEntry{}, &snap.EbEntry{}, &snap.Unknown{},
	}
}

// words are values that mean something to some expression.
var words = []string{
	"", "s", "base", "a", "ll", "nh", "th", "inner", "==", "!=", "<", "<=", ">", ">=", "mask-xor", "<<", ">>", "&", "|", "^", "ntoh", "hton", "add", "update", "delete", "original", "reply",
	"oif", "oifname", "type", "saddr", "daddr", "iif", "present", "ipv6", "tcpopt", "ipv4", "sctp", "dccp", "snat", "dnat", "netmap", "icmp", "icmpx", "tcp-reset", "inc", "random", "jhash",
	"symhash", "quota", "limit", "counter", "accept", "drop", "jump", "goto", "return", "continue", "break", "queue", "stolen", "mark", "state", "src", "dst", "proto-src", "status", "label",
	"iifname", "len", "time", "day", "l4proto", "transparent", "tcpmss", "nexthop4", "src-ip6", "helper", "zone", "02:00:00:00:00:01", "eth+", "key:99", "skuid", "ibrpvid", "broute", "pkttype",
}

// fill sets every field of a value to something at random.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(3) > 0 && depth < 4 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth+1)
		}
	case reflect.Struct:
		switch x := v.Addr().Interface().(type) {
		case *netip.Prefix:
			*x = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))}), r.IntN(40))
		case *netip.Addr:
			*x = []netip.Addr{{}, netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("224.0.0.1")}[r.IntN(4)]
		case *netip.AddrPort:
			*x = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(r.IntN(3)))
		default:
			for i := range v.NumField() {
				if v.Type().Field(i).Name != "Assumed" {
					fill(r, v.Field(i), depth)
				}
			}
		}
	case reflect.Slice:
		n := r.IntN(5)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = []int{0, 1, 2, 4, 4, 8, 12, 16, 40, 160}[r.IntN(10)]
		}
		if v.Type() == reflect.TypeFor[snap.Exprs]() {
			if depth < 3 {
				v.Set(reflect.ValueOf(exprs(r, depth+1)))
			}
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt([]int64{-2, -1, 0, 0, 1, 2, 4, 4, 8, 12, 15, 16, 20, 64, 300, -9}[r.IntN(16)])
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint([]uint64{0, 0, 1, 2, 4, 6, 17, 58, 80, 255}[r.IntN(10)])
	case reflect.Float64:
		v.SetFloat(r.Float64())
	}
}

func exprs(r *rand.Rand, depth int) snap.Exprs {
	var out snap.Exprs
	for range r.IntN(6) {
		k := kinds()
		e := k[r.IntN(len(k))]
		fill(r, reflect.ValueOf(e).Elem(), depth)
		if x, ok := e.(*snap.Xt); ok && r.IntN(2) == 0 {
			x.Name = []string{"tcp", "conntrack", "set", "u32", "bpf", "string", "NOTRACK", "MARK", "DNAT", "REJECT", "TPROXY", "limit", "ip", "mark", "comment"}[r.IntN(15)]
			x.Rev = uint8(r.IntN(4))
		}
		out = append(out, e)
	}
	return out
}

// TestAnythingRuns runs rules and packets that make no sense: each gives an
// answer, and none a panic.
func TestAnythingRuns(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	families := []snap.Family{snap.IPv4, snap.IPv6, snap.Inet, snap.BridgeFamily, snap.Netdev, snap.ARP}
	hooks := []string{"prerouting", "input", "forward", "output", "postrouting", "ingress", "egress"}
	for range 4000 {
		rs := baseTable(families[r.IntN(len(families))], hooks[r.IntN(len(hooks))], "accept", rules(exprs(r, 0), exprs(r, 0)), chainOf("a", exprs(r, 0)))
		var s snap.Set
		fill(r, reflect.ValueOf(&s).Elem(), 1)
		s.Name = "s"
		rs.Tables[0].Sets = []snap.Set{s}
		var p Packet
		fill(r, reflect.ValueOf(&p).Elem(), 1)
		p.Family = families[r.IntN(len(families))]
		if r.IntN(2) == 0 {
			p = syn()
		}
		got := run(t, rs, p, world())
		if len(got) == 0 || len(got) > maxBranches {
			t.Fatalf("%d branches", len(got))
		}
		for _, b := range got {
			if b.Verdict == "" || b.Verdict == "unknown" && b.Unknown == "" {
				t.Fatalf("a branch without a verdict or reason: %+v", b)
			}
		}
	}
}

// FuzzRun runs expressions in their JSON form.
func FuzzRun(f *testing.F) {
	for _, x := range []snap.Exprs{
		{meta("iifname"), eq([]byte("eth0")...), drop()},
		{payload("nh", 12, 4), lookup(false), accept()},
		{&snap.Numgen{Mode: "random", Modulus: 3, Dreg: 4}, eq(1, 0, 0, 0)},
		{imm(0, 10, 0, 0, 5), &snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 0, AddrMax: snap.NoReg, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg}},
	} {
		b, err := json.Marshal(x)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var x snap.Exprs
		if json.Unmarshal(b, &x) != nil {
			return
		}
		for _, p := range []Packet{syn(), syn6(), {}} {
			if got := run(t, baseTable(snap.Inet, "forward", "drop", rules(x)), p, world()); len(got) == 0 {
				t.Fatal("no branch")
			}
		}
	})
}

// TestConcurrentRuns shares a program between goroutines, for the race detector.
func TestConcurrentRuns(t *testing.T) {
	t.Parallel()
	p := Compile(endpoints(&snap.Numgen{Mode: "random", Modulus: 2, Dreg: 4}, to([]byte{0, 0, 0, 0}, "ep1"), to([]byte{1, 0, 0, 0}, "ep2")))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if got := p.BaseChains(snap.IPv4, "prerouting", "")[0].Run(syn(), world()); len(got) != 2 {
					t.Errorf("%d branches, want 2", len(got))
				}
			}
		})
	}
	wg.Wait()
}
