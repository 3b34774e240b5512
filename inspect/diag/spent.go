package diag

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
)

// Spent says whether a place is a mapping of the source that finds no free port in its
// range: nobody means that to stop a packet.
func Spent(w *sim.Where) bool {
	return w != nil && strings.Contains(w.Detail, " hold all of its ports, ")
}
