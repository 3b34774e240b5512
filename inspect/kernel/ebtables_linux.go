package kernel

import (
	"fmt"
	"os"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ebtablesLegacy says whether ebtables-legacy could hold rules that were not
// read. They are not read: unlike iptables there is no list of the tables that
// a namespace has, and EBT_SO_GET_INFO registers a table that is not there yet
// (net/bridge/netfilter/ebtables.c:find_inlist_lock_noload, since Linux 5.15;
// before, it loads the module). A kernel without the table modules can't have
// rules; with one of them loaded it is not known.
func ebtablesLegacy() error {
	var loaded []string
	for _, m := range []string{"ebtable_filter", "ebtable_nat", "ebtable_broute"} {
		if _, err := os.Stat("/sys/module/" + m); err == nil {
			loaded = append(loaded, m)
		}
	}
	if loaded == nil {
		return nil
	}
	return snap.Hint(
		fmt.Errorf("module %s is loaded: ebtables-legacy may have rules, and looking would register its tables: %w", strings.Join(loaded, ", "), snap.ErrUnsupported),
		"ebtables-legacy-save shows them, and registers the tables in the namespace that it runs in")
}
