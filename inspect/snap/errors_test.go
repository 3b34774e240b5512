package snap_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A kind is told once: not again where the error's own words have it.
func TestAs(t *testing.T) {
	refused := &fs.PathError{Op: "open", Path: "ns/net", Err: fs.ErrPermission}
	denied := &fs.PathError{Op: "open", Path: "ns/net", Err: errors.New("Permission denied")}
	for _, c := range []struct {
		kind, err error
		what, say string
	}{
		{snap.ErrPermission, refused, "process 7", "process 7: open ns/net: permission denied"},
		{snap.ErrPermission, denied, "process 7", "process 7: open ns/net: Permission denied"},
		{snap.ErrPermission, denied, "", "open ns/net: Permission denied"},
		{snap.ErrTorn, refused, "", "changed while it was read (open ns/net: permission denied)"},
	} {
		got := snap.As(c.kind, c.what, c.err)
		if got.Error() != c.say {
			t.Errorf("said %q, want %q", got, c.say)
		}
		if !errors.Is(got, c.kind) || !errors.Is(got, c.err) || snap.Kind(got) != snap.Kind(c.kind) {
			t.Errorf("%q is not of both kinds", got)
		}
	}
}
