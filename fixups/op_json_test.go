package fixups_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/fixups"
)

func TestJSONKeepsEveryOperation(t *testing.T) {
	t.Parallel()
	s := world(t)
	for _, tc := range opCases() {
		op := tc.op(s)
		inv, err := op.Inverse(s)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		for _, o := range []fixups.Op{op, inv} {
			b, err := fixups.Marshal(o)
			if err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			got, err := fixups.Unmarshal(b)
			if err != nil {
				t.Fatalf("%s: %v in %s", tc.name, err, b)
			}
			if diff := cmp.Diff(o, got, equal()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.name, diff)
			}
		}
	}
}
