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
