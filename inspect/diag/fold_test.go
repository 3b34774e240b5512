package diag

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFoldLeavesRootCauses: what another finding's mend heals wholly is its
// consequence, and so is what only says where something dies.
func TestFoldLeavesRootCauses(t *testing.T) {
	t.Parallel()
	finding := func(code Code, weight int, heals bool, flows ...int) Finding {
		return Finding{Code: code, Weight: weight, Severity: Error, Subject: Subject{Kind: "link", Name: string(code)}, Covers: Cover{Traces: flows}, heals: heals}
	}
	by := map[Code]Check{"A": {Code: "A"}, "B": {Code: "B"}, "C": {Code: "C", CatchAll: true}, "D": {Code: "D", After: []Code{"A"}}}
	for _, tt := range []struct {
		name string
		in   []Finding
		want []Code
	}{
		{"one mend heals both", []Finding{finding("A", 60, true, 1, 2), finding("B", 60, true, 2)}, []Code{"A"}},
		{"each has a flow of its own", []Finding{finding("A", 60, true, 1, 2), finding("B", 60, true, 2, 3)}, []Code{"A", "B"}},
		{"nothing heals", []Finding{finding("A", 60, false, 1, 2), finding("B", 60, false, 2)}, []Code{"A", "B"}},
		{"the lighter one mends what the heavier tells", []Finding{finding("A", 70, false, 1), finding("B", 60, true, 1)}, []Code{"A", "B"}},
		{"who knows no cause gives way, mend or not", []Finding{finding("A", 60, false, 1, 2), finding("C", 90, false, 1)}, []Code{"A"}},
		{"who knows no cause keeps what nobody explains", []Finding{finding("A", 60, false, 1), finding("C", 90, false, 1, 3)}, []Code{"A", "C"}},
		{"two causes explain it together", []Finding{finding("A", 60, false, 1), finding("B", 60, false, 2), finding("C", 50, false, 1, 2)}, []Code{"A", "B"}},
		{"two causes leave something", []Finding{finding("A", 60, false, 1), finding("B", 60, false, 2), finding("C", 50, false, 1, 2, 3)}, []Code{"A", "B", "C"}},
		{"only who may be its cause counts", []Finding{finding("A", 60, false, 1), finding("B", 60, false, 2), finding("D", 50, false, 1, 2)}, []Code{"A", "B", "D"}},
		{"a check says whose consequence it is", []Finding{finding("A", 60, false, 1), finding("D", 60, false, 1)}, []Code{"A"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []Code
			for _, f := range fold(tt.in, by) {
				got = append(got, f.Code)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
