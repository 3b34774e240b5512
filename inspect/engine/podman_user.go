package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rootless is the user whose Podman this is, "" for root's. Whoever looks from within
// that user's namespace (podman unshare) sees him as root.
func (m *machine) rootless(uid int, monitors []conmon) string {
	const everybody, nobody = "4294967295", 65534
	b, err := os.ReadFile(m.path("/proc/thread-self/uid_map"))
	f := strings.Fields(string(b)) // first id inside, outside, how many
	inside := err == nil && len(f) > 2 && f[2] != everybody
	switch {
	case inside && uid == nobody: // whose it is can't be told; mostly root's
		return ""
	case uid == 0 && (!inside || len(monitors) == 0 || strings.HasPrefix(monitors[0].store.runroot, "/run/containers/")):
		return ""
	case uid == 0:
		uid, _ = strconv.Atoi(f[1])
	}
	return m.userName(uid)
}

// as reads with the powers of the user whose files they are.
func (r *podmanRead) as(read func(*podmanRead)) {
	if !r.stranger() {
		read(r)
		return
	}
	late := *r // not looked at if it comes too late
	late.seen = map[string]*snap.Container{}
	err := r.m.asUser(r.uid, r.e.DataRoot, rootDeadline, func() { read(&late) })
	if err == nil {
		*r = late
		return
	}
	r.e.Reachable, r.e.Error = false, err.Error()
	r.gap(r.e.Name, fmt.Errorf("reading the files of user %d: %w", r.uid, err))
}
