package kernel

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

func TestIPSetsAreReadWithTheirNumbers(t *testing.T) {
	if !labtest.InOwnNetns(t, nil, "iptables-nft") {
		return
	}
	port, proto := uint16(80), uint8(unix.IPPROTO_TCP)
	for _, s := range []struct {
		name, typ string
		family    uint8
		entries   []netlink.IPSetEntry
	}{
		{"first", "hash:ip", unix.AF_INET, []netlink.IPSetEntry{{IP: net.IPv4(192, 0, 2, 1).To4()}}},
		{"nets", "hash:net", unix.AF_INET, []netlink.IPSetEntry{{IP: net.IPv4(198, 51, 100, 0).To4(), CIDR: 24}}},
		{"ports", "hash:ip,port", unix.AF_INET, []netlink.IPSetEntry{{IP: net.IPv4(192, 0, 2, 1).To4(), Port: &port, Protocol: &proto}}},
		{"six", "hash:net", unix.AF_INET6, []netlink.IPSetEntry{{IP: net.ParseIP("2001:db8::"), CIDR: 32}}},
	} {
		if err := netlink.IpsetCreate(s.name, s.typ, netlink.IpsetCreateOptions{Family: s.family, Counters: s.name == "first"}); err != nil {
			t.Fatalf("making set %s: %v", s.name, err)
		}
		for i := range s.entries {
			if err := netlink.IpsetAdd(s.name, &s.entries[i]); err != nil {
				t.Fatalf("filling set %s: %v", s.name, err)
			}
		}
	}
	rules := []string{
		"-A FORWARD -p tcp -m set --match-set ports dst,dst -j ACCEPT",
		"-A FORWARD -m set ! --match-set nets src -j DROP",
		"-A FORWARD -m set --match-set first src ! --update-counters --packets-gt 5 -j ACCEPT",
		"-A FORWARD -j SET --add-set first src --exist",
		"-A FORWARD -j SET --del-set nets dst",
	}
	output(t, "*filter\n"+strings.Join(rules, "\n")+"\nCOMMIT\n", "iptables-nft-restore")

	h, err := ns.Self()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	sets, err := ReadIPSets(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	want := []snap.IPSet{
		{Name: "first", Type: "hash:ip", Family: snap.IPv4, Counters: true, References: 2, Entries: []snap.IPSetEntry{{IP: netip.MustParsePrefix("192.0.2.1/32")}}},
		{Name: "nets", Type: "hash:net", Family: snap.IPv4, References: 2, Index: 1, Entries: []snap.IPSetEntry{{IP: netip.MustParsePrefix("198.51.100.0/24")}}},
		{Name: "ports", Type: "hash:ip,port", Family: snap.IPv4, References: 1, Index: 2, Entries: []snap.IPSetEntry{{IP: netip.MustParsePrefix("192.0.2.1/32"), Proto: 6, Port: 80}}},
		{Name: "six", Type: "hash:net", Family: snap.IPv6, Index: 3, Entries: []snap.IPSetEntry{{IP: netip.MustParsePrefix("2001:db8::/32")}}},
	}
	if diff := cmp.Diff(want, sets, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
		t.Errorf("sets (-want +got):\n%s", diff)
	}
	rs := readHere(t)
	tb := rs.Table(snap.IPTablesNFT, snap.IPv4, "filter")
	if tb == nil {
		t.Fatal("no filter table")
	}
	c := tb.Chain("FORWARD")
	var got []string
	for i := range c.Rules {
		got = append(got, firewall.RuleText(&snap.Netns{IPSets: sets}, tb, c, &c.Rules[i]))
	}
	if diff := cmp.Diff(rules, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if text := firewall.RuleText(nil, tb, c, &c.Rules[0]); !strings.Contains(text, fmt.Sprintf("[set %d]", sets[2].Index)) {
		t.Errorf("without the sets the rule is %q: it should show the number", text)
	}
}
