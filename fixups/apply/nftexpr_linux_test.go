package apply

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestRulesReadAsTheyWereWritten: the bytes that are handed to the kernel mean to the
// reader what the text said.
func TestRulesReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"accept",
		"counter drop",
		"jump web",
		`iifname "br-app" oifname != "br-*" counter drop`,
		"ct state established,related accept",
		"ct status dnat accept",
		"ct original proto-dst 8080 ip saddr @trusted accept",
		`iifname @bridges tcp dport != @closed accept`,
		"ip saddr 192.0.2.0/24 ip daddr != 198.51.100.7 return",
		"tcp dport 8000-8080 accept",
		"udp sport != 53 drop",
		"fib daddr type local tcp dport 80 dnat to 192.0.2.7:8080",
		"udp dport 1000 snat to 192.0.2.7-192.0.2.9",
		"dnat to numgen random mod 2 map @ends",
		`iifname vmap @chains`,
		"meta mark & 0xff == 0x7 accept",
		"meta mark set 0x7",
		"meta mark set meta mark | 0x2000",
		"ct mark set 0x7",
		"tcp dport 80 ct mark set meta mark | 0x1 accept",
		"meta nftrace set 1",
		"masquerade",
		"reject",
		"tcp dport 80 reject with tcp reset",
		"icmp type echo-request accept",
		`oifname "eth0" tcp flags syn tcp option maxseg size set rt mtu`,
	} {
		want, err := (&fixups.RuleInsert{ChainRef: fixups.ChainRef{System: snap.NFT, Family: snap.IPv4}, Text: text}).Compile()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		exprs, err := encode(want.Exprs)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var a attrs
		a.str(unix.NFTA_RULE_TABLE, "t")
		a.str(unix.NFTA_RULE_CHAIN, "c")
		a.be64(unix.NFTA_RULE_HANDLE, 1)
		a.bytes(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, exprs)
		got, err := firewall.DecodeRule("t", "c", a)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if w, g := fixups.Print(&want), fixups.Print(&got.Rule); w != g {
			t.Errorf("%s:\nwritten %s\nread    %s", text, w, g)
		}
	}
}

// TestNothingOfARuleIsLeftOut: what would be lost on the way to the kernel is refused.
func TestNothingOfARuleIsLeftOut(t *testing.T) {
	t.Parallel()
	const none = snap.NoReg
	for _, e := range []snap.Expr{
		&snap.Payload{Base: "nh", Offset: 8, Len: 1, Dreg: none, Sreg: 0},
		&snap.Ct{Key: "bytes", Dreg: 0, Sreg: none},
		&snap.Ct{Key: "mark", Dir: "reply", Dreg: 0, Sreg: none},
		&snap.Bitwise{Op: "<<", Data: []byte{1}},
		&snap.Masq{ProtoMin: none, ProtoMax: none, Flags: []string{"random"}},
		&snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 0, AddrMax: none, ProtoMin: none, ProtoMax: none, Flags: []string{"map-ips", "persistent"}},
		&snap.Immediate{Verdict: &snap.Verdict{Code: "maybe"}},
		&snap.Exthdr{Op: "tcpopt", Type: 2, Dreg: none, Sreg: none},
		&snap.Exthdr{Op: "ipv6", Type: 2, Dreg: none, Sreg: 0},
		&snap.Rt{Key: "xfrm"},
		&snap.Byteorder{Op: "swap"},
		&snap.Unknown{Name: "tunnel"},
	} {
		if _, err := encode(snap.Exprs{e}); !errors.Is(err, snap.ErrUnsupported) {
			t.Errorf("%s %+v: %v, want an error", e.Kind(), e, err)
		}
	}
}
