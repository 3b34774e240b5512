package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// dir is where journals are.
func (a *Applier) dir() (string, error) {
	if a.Dir != "" {
		return a.Dir, nil
	}
	// Root in a user namespace of its own may not write there (user_namespaces(7)).
	if os.Geteuid() == 0 && writable(systemJournal) {
		return systemJournal, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("a place for the journal: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "netdoctor", "journal"), nil
}

// systemJournal is where the machine's root has them.
const systemJournal = "/var/lib/netdoctor/journal"

// writable says whether a directory may be written to, or made; one that can't be
// looked at is tried, for the sake of the error.
func writable(dir string) bool {
	for {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	const writeOK = 2 // W_OK, access(2)
	return !errors.Is(syscall.Access(dir, writeOK), fs.ErrPermission)
}
