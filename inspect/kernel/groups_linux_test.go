package kernel

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	got := groups4([]byte("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" +
		"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n" +
		"14\teth0      :     2      V3\n\t\t\t\t010101EF     1 0:00000000\t\t1\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\t\t\t\tnonsense\n"))
	got = append(got, groups6([]byte("1    lo              ff020000000000000000000000000001     1 0000000C 0\n"+
		"14   eth0            ff0200000000000000000001ff000002     1 00000004 0\n14   eth0            ff05000000000000000000000000abcd     1 00000004 0\nnonsense\n"))...)
	want := []snap.Group{{Index: 14, IP: netip.MustParseAddr("239.1.1.1")}, {Index: 14, IP: netip.MustParseAddr("ff05::abcd")}}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
