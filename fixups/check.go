package fixups

import (
	"bytes"
	"encoding/json"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Checked is what every operation of this package can say about a snapshot
// besides; fixups/apply asks it about snapshots of now.
type Checked interface {
	Op
	// Object is the object that the operation is about, without what changes by
	// itself (counters, ages); nil when it is not there. Two snapshots with
	// equal Objects (SameObject) are the same to the operation.
	Object(*snap.Snapshot) any
	// Holds says whether the snapshot is already as the operation leaves it.
	Holds(*snap.Snapshot) bool
}

// ObjectOf is the JSON form of an operation's Object.
func ObjectOf(op Op, s *snap.Snapshot) ([]byte, error) {
	c, ok := op.(Checked)
	if !ok {
		return []byte("null"), nil
	}
	return json.Marshal(c.Object(s))
}

// SameObject says whether the object of the operation is the same in both.
func SameObject(op Op, a, b *snap.Snapshot) bool {
	x, err1 := ObjectOf(op, a)
	y, err2 := ObjectOf(op, b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// Holds says whether the operation would change nothing.
func Holds(op Op, s *snap.Snapshot) bool {
	c, ok := op.(Checked)
	return ok && c.Holds(s)
}
