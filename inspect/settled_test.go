package inspect

import (
	"errors"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestAVethPairThatWasCaughtInMotionIsReadAgain(t *testing.T) {
	t.Parallel()
	calm := func() (*snap.Snapshot, error) { return &snap.Snapshot{Tool: "calm", Taken: snap.Window{Torn: 1}}, nil }
	torn := func() (*snap.Snapshot, error) {
		return &snap.Snapshot{Tool: "torn", Taken: snap.Window{Torn: 1}, Gaps: []snap.Gap{{What: "link", Kind: "torn"}}}, nil
	}
	none := func() (*snap.Snapshot, error) { return nil, errors.New("over") }
	for _, tt := range []struct {
		name    string
		reads   []func() (*snap.Snapshot, error)
		want    string
		torn, n int
	}{
		{"nothing moves", []func() (*snap.Snapshot, error){calm, torn}, "calm", 1, 1},
		{"a pair is in motion", []func() (*snap.Snapshot, error){torn, calm}, "calm", 3, 2},
		{"it moves on and on", []func() (*snap.Snapshot, error){torn, torn, calm}, "torn", 3, 2},
		{"no time for another", []func() (*snap.Snapshot, error){torn, none}, "torn", 1, 2},
		{"nothing can be read", []func() (*snap.Snapshot, error){none, calm}, "", 0, 1},
	} {
		n := 0
		s, err := settled(func() (*snap.Snapshot, error) { n++; return tt.reads[n-1]() })
		got, count := "", 0
		if s != nil {
			got, count = s.Tool, s.Taken.Torn
		}
		if got != tt.want || count != tt.torn || n != tt.n || (err != nil) != (tt.want == "") {
			t.Errorf("%s: %q, torn %d, %d reads, %v; want %q, torn %d, %d reads", tt.name, got, count, n, err, tt.want, tt.torn, tt.n)
		}
	}
}
