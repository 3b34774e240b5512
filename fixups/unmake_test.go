package fixups_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestUnmakeTakesAwayWhatGoesByItself: what lies in a namespace, on a device or
// in a table of nftables that goes as a whole is left out.
func TestUnmakeTakesAwayWhatGoesByItself(t *testing.T) {
	t.Parallel()
	host := fixups.Where{ID: "host", Host: true}
	box := fixups.Where{ID: "box", Path: "/run/own/box"}
	own := fixups.ChainRef{Where: host, System: snap.NFT, Family: snap.IPv4, Table: "own"}
	chain := own
	chain.Chain = "in"
	others := fixups.ChainRef{Where: host, System: snap.IPTablesNFT, Family: snap.IPv4, Table: "filter", Chain: "FORWARD"}
	ops := []fixups.Op{
		&fixups.SandboxAdd{Where: box},
		&fixups.LinkSet{Where: box, Name: "lo", Up: true},
		&fixups.LinkAdd{Where: host, Link: snap.Link{Name: "veth1", Kind: "veth"}, Peer: &fixups.LinkEnd{Where: box, Name: "eth0"}},
		&fixups.AddrAdd{Where: box, Dev: "eth0", Addr: snap.Addr{Prefix: pfx("10.0.0.2/24")}},
		&fixups.LinkAdd{Where: host, Link: snap.Link{Name: "br0", Kind: "bridge"}},
		&fixups.AddrAdd{Where: host, Dev: "br0", Addr: snap.Addr{Prefix: pfx("10.0.0.1/24")}},
		&fixups.AddrAdd{Where: host, Dev: "eth0", Addr: snap.Addr{Prefix: pfx("10.0.1.1/24")}},
		&fixups.TableAdd{ChainRef: own},
		&fixups.ChainAdd{ChainRef: chain},
		&fixups.RuleInsert{ChainRef: chain, Text: "accept"},
		&fixups.RuleInsert{ChainRef: others, Position: 1, Args: []string{"-i", "br0", "-j", "ACCEPT"}},
	}
	var got []string
	for _, op := range fixups.UnmakeAll(ops...) {
		got = append(got, op.Describe())
	}
	want := []string{
		"delete from filter/FORWARD: -i br0 -j ACCEPT", "delete table ip own with everything in it", "delete address 10.0.1.1/24 from eth0",
		"delete br0", "delete veth1", "delete namespace box",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestPlacesAndBalance: the parts of nft's language that networks of our own use.
func TestPlacesAndBalance(t *testing.T) {
	t.Parallel()
	ref := fixups.ChainRef{Where: fixups.Where{ID: "host", Host: true}, System: snap.NFT, Family: snap.IPv4, Table: "t", Chain: "c"}
	for text, ok := range map[string]bool{
		"oifname vmap @jumps":                                            true,
		"fib daddr type local counter jump x":                            true,
		"ip daddr 10.0.0.9 counter dnat to numgen inc mod 2 map @two":    true,
		"meta mark & 0x00002000 == 0x00002000 masquerade":                true,
		"meta mark set meta mark | 0x00002000":                           true,
		"tcp dport 80 ct mark set meta mark | 0x1 accept":                true,
		"meta mark set ct mark | 0x00002000":                             false,
		"tcp flags ack accept":                                           false,
		"tcp option maxseg size set 1400":                                false,
		"oifname vmap { eth0 : accept }":                                 false,
		"fib daddr . iif type local accept":                              false,
		"ip daddr 10.0.0.9 dnat to numgen inc mod 0 map @two":            false,
		"ip daddr 10.0.0.9 dnat to numgen inc mod 2 map { 0 : 1.1.1.1 }": false,
	} {
		if _, err := (&fixups.RuleInsert{ChainRef: ref, Text: text}).Compile(); (err == nil) != ok {
			t.Errorf("%s: %v, want understood %v", text, err, ok)
		}
	}
}
