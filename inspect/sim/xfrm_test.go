package sim

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestXfrm: IPsec's policies at the three places where the kernel asks them, and the
// order among them.
func TestXfrm(t *testing.T) {
	t.Parallel()
	pol := func(dir, src, dst string) snap.XfrmPolicy {
		return snap.XfrmPolicy{Family: snap.IPv4, Dir: dir, Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst)}
	}
	esp := snap.XfrmTemplate{Src: ip("192.0.2.2"), Dst: ip("192.0.2.1"), Proto: "esp", Mode: "tunnel", ReqID: 7}
	const all, inet = "0.0.0.0/0", "198.51.100.0/24"
	for _, c := range []struct {
		name, ns string
		x        snap.Xfrm
		edit     func(*model)
		want     want
	}{
		{name: "nothing about it", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{pol("fwd", all, "203.0.113.0/24")}}, want: want{Verdict: Delivered}},
		{
			name: "blocked where it is forwarded", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{{Family: snap.IPv4, Dir: "fwd", Src: netip.MustParsePrefix(all), Dst: netip.MustParsePrefix(inet), Block: true}}},
			want: want{Dropped, "host", "br-app", CauseXfrm, "XFRM_POLICY", "an IPsec policy of host blocks it", false},
		},
		{
			name: "the answer comes unwrapped", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{func() snap.XfrmPolicy { p := pol("fwd", inet, all); p.Templates = []snap.XfrmTemplate{esp}; return p }()}},
			want: want{Dropped, "host", "eth0", CauseXfrm, "XFRM_POLICY", "takes it only out of esp", true},
		},
		{
			name: "optional wrapping", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{func() snap.XfrmPolicy {
				p := pol("fwd", inet, all)
				p.Templates = []snap.XfrmTemplate{{Proto: "comp", Mode: "transport", Optional: true}}
				return p
			}()}},
			want: want{Verdict: Delivered},
		},
		{
			name: "no association for what the masquerade made of it", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{func() snap.XfrmPolicy {
				p := pol("out", "192.0.2.0/24", inet)
				p.Templates = []snap.XfrmTemplate{esp}
				return p
			}()}},
			want: want{Dropped, "host", "eth0", CauseXfrm, "NETFILTER_DROP", "there is no association for that", false},
		},
		{
			name: "an association", ns: "host", x: snap.Xfrm{
				States: []snap.XfrmState{{Src: ip("192.0.2.2"), Dst: ip("192.0.2.1"), Proto: "esp", Mode: "tunnel", SPI: 1, ReqID: 7}},
				Policies: []snap.XfrmPolicy{func() snap.XfrmPolicy {
					p := pol("out", "192.0.2.0/24", inet)
					p.Templates = []snap.XfrmTemplate{esp}
					return p
				}()},
			},
			want: want{Unknown, "host", "eth0", CauseModel, "", "wraps it in esp to 192.0.2.1", false},
		},
		{
			name: "the lower priority lets it pass", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{
				{Family: snap.IPv4, Dir: "fwd", Src: netip.MustParsePrefix(all), Dst: netip.MustParsePrefix(inet), Block: true, Priority: 9}, pol("fwd", all, inet),
			}},
			want: want{Verdict: Delivered},
		},
		{
			name: "of equals the oldest, which is dumped last", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{
				pol("fwd", all, inet), {Family: snap.IPv4, Dir: "fwd", Src: netip.MustParsePrefix(all), Dst: netip.MustParsePrefix(inet), Block: true},
			}},
			want: want{Dropped, "host", "br-app", CauseXfrm, "XFRM_POLICY", "blocks it", false},
		},
		{
			name: "what no policy is about", ns: "client", x: snap.Xfrm{Block: []string{"out"}},
			want: want{Dropped, "client", "eth0", CauseXfrm, "XFRM_POLICY", "blocks what no policy is about", false},
		},
		{
			name: "the device is none of IPsec's affair", ns: "client", x: snap.Xfrm{Block: []string{"out"}}, edit: func(m *model) { m.sysctl("client", "net/ipv4/conf/eth0/disable_xfrm", "1") },
			want: want{Verdict: Delivered},
		},
		{
			name: "another port", ns: "host", x: snap.Xfrm{Policies: []snap.XfrmPolicy{{Family: snap.IPv4, Dir: "fwd", Src: netip.MustParsePrefix(all), Dst: netip.MustParsePrefix(inet), Block: true, Proto: 6, Dport: [2]uint16{443, 0xffff}}}},
			want: want{Verdict: Delivered},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			m.ns[c.ns].Xfrm = &c.x
			if c.edit != nil {
				c.edit(m)
			}
			check(t, m.world().Trace(tcp80("client", "198.51.100.7")), c.want)
		})
	}
}
