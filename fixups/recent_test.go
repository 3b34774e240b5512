package fixups_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestAnAddressIsTakenOffAListAndPutBack(t *testing.T) {
	s := world(t)
	s.Ns("host").Recent = []snap.RecentList{{Name: "ban", Entries: []snap.RecentEntry{{Addr: ip("192.0.2.8"), AgesMs: []int64{7}}, {Addr: ip("192.0.2.7"), AgesMs: []int64{0, 0}}}}}
	was := s.Clone()
	op := &fixups.RecentDel{Where: fixups.At(s, "host"), List: "ban", Addr: ip("192.0.2.7")}
	back, err := op.Inverse(s)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(op.Shell(), ";"), "echo -192.0.2.7 > /proc/net/xt_recent/ban"; got != want {
		t.Errorf("shell %q, want %q", got, want)
	}
	if got, want := strings.Join(back.Shell(), ";"), "echo +192.0.2.7 > /proc/net/xt_recent/ban;echo +192.0.2.7 > /proc/net/xt_recent/ban"; got != want {
		t.Errorf("shell of the inverse %q, want %q", got, want)
	}
	if err := op.On(s); err != nil {
		t.Fatal(err)
	}
	if !op.Holds(s) || len(s.Ns("host").Recent[0].Entries) != 1 {
		t.Errorf("the list without it: %+v", s.Ns("host").Recent)
	}
	if none, err := op.Inverse(s); none != nil || err != nil {
		t.Errorf("the inverse of nothing: %v, %v", none, err)
	}
	if err := back.On(s); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(was.Ns("host").Recent, s.Ns("host").Recent, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("after the inverse (-want +got)\n%s", d)
	}
	op.List = "none"
	if err := op.On(s); err == nil {
		t.Error("a list that is not there")
	}
	for _, name := range []string{"", "../x", ".hidden"} {
		if _, err := (&fixups.RecentDel{List: name}).File(); err == nil {
			t.Errorf("the file of list %q", name)
		}
	}
}

func TestAMemberIsTakenOutOfAnIPSetAndPutBack(t *testing.T) {
	s := world(t)
	s.Ns("host").IPSets = []snap.IPSet{{Name: "bad", Type: "hash:net", Family: snap.IPv4, Index: 1, Entries: []snap.IPSetEntry{
		{IP: netip.MustParsePrefix("192.0.2.0/24"), TimeoutS: 90}, {IP: netip.MustParsePrefix("192.0.2.7/32")},
	}}}
	was := s.Clone()
	op := &fixups.IPSetMember{Where: fixups.At(s, "host"), Set: "bad", Entry: s.Ns("host").IPSets[0].Entries[0]}
	back, err := op.Inverse(s)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := op.Shell()[0]+"; "+back.Shell()[0], "ipset del bad 192.0.2.0/24; ipset add bad 192.0.2.0/24 timeout 90"; got != want {
		t.Errorf("shell %q, want %q", got, want)
	}
	if err := op.On(s); err != nil {
		t.Fatal(err)
	}
	if !op.Holds(s) || len(s.Ns("host").IPSets[0].Entries) != 1 || len(was.Ns("host").IPSets[0].Entries) != 2 {
		t.Errorf("the set without it: %+v, before %+v", s.Ns("host").IPSets, was.Ns("host").IPSets)
	}
	if none, err := op.Inverse(s); none != nil || err != nil {
		t.Errorf("the inverse of nothing: %v, %v", none, err)
	}
	if err := back.On(s); err != nil || op.Holds(s) {
		t.Errorf("put back: %v, %+v", err, s.Ns("host").IPSets)
	}
	op.Set = "none"
	if err := op.On(s); err == nil {
		t.Error("a set that is not there")
	}
}
