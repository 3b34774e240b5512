package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// States of a transaction.
const (
	stateOpen   = "open"   // under way, or cut off
	stateDone   = "done"   // stands
	stateUndone = "undone" // put back
	stateStuck  = "stuck"  // could not be put back wholly
)

// States of a step.
const (
	stepPlanned = "planned"
	stepStarted = "started" // done or not: nobody noted
	stepDone    = "done"
	stepSkipped = "skipped" // there was nothing to do
	stepUndone  = "undone"
	stepLeft    = "left" // could not be undone
)

// journalVersion is the version of the files; a higher one is not read.
const journalVersion = 1

// entry is one transaction in the journal.
type entry struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Fix     string    `json:"fix,omitempty"`
	Run     string    `json:"run,omitempty"` // as in Tx
	At      time.Time `json:"at"`
	State   string    `json:"state"`
	// Boot and Host say in which life of the machine and for which host
	// namespace it was: neither the kernel's state nor inodes outlive them.
	Boot string `json:"boot,omitempty"`
	Host uint64 `json:"host"`
	// Cookie is that namespace's, as inodes come again; 0 on kernels without.
	Cookie uint64 `json:"cookie,omitempty"`
	// Build marks a transaction of Make or Unmake: its steps are not noted one by
	// one, as doing them again, or undoing what was not done, does no harm.
	Build string   `json:"build,omitempty"`
	Steps []*step  `json:"steps"`
	Left  []string `json:"left,omitempty"`

	// unread says why its steps could not be read: another version of this
	// program wrote them. Steps is empty then.
	unread error
}

// step is one operation of a transaction. Op holds one; of a Make only Undo is
// kept.
type step struct {
	Op     fixups.Ops `json:"op,omitempty"`
	Undo   fixups.Ops `json:"undo,omitempty"`
	Text   string     `json:"text"`
	State  string     `json:"state"`
	Before string     `json:"before,omitempty"` // hash of the object
	After  string     `json:"after,omitempty"`
	Chain  string     `json:"chain,omitempty"` // fixups.Prints of a chain before
	Error  string     `json:"error,omitempty"`
}

// Entry is a transaction for people.
type Entry struct {
	ID     string
	Fix    string // what it was for
	Run    string // as in Tx
	At     time.Time
	State  string   // "open", "done", "undone", "stuck"
	Detail []string // what was changed, or after Undo what was put back
	Left   []string // what could not be put back
	// Past says that the machine was started again since, Elsewhere that it was made
	// for another host namespace: it can't be undone from here.
	Past, Elsewhere bool
}

func (e *entry) public() Entry {
	out := Entry{ID: e.ID, Fix: e.Fix, Run: e.Run, At: e.At, State: e.State, Left: e.Left}
	for _, st := range e.Steps {
		if st.State != stepSkipped {
			out.Detail = append(out.Detail, st.Text)
		}
	}
	return out
}

// journal is the directory, with the lock held.
type journal struct {
	dir  string
	lock *os.File
}

// journal opens the directory and takes the lock of the host namespace.
func (a *Applier) journal(host uint64) (*journal, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	wait := a.LockWait
	if wait == 0 {
		wait = 10 * time.Second
	}
	lock, err := takeLock(filepath.Join(dir, "lock."+strconv.FormatUint(host, 10)), wait)
	if err != nil {
		return nil, err
	}
	return &journal{dir: dir, lock: lock}, nil
}

// makeDir makes the directory, for its owner alone. One that others could write
// to is refused: undo believes what it reads there.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return kind("making the journal's directory", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return kind("reading the journal's directory", err)
	}
	if !st.IsDir() || st.Mode().Perm()&0o022 != 0 || !ownedByUs(st) {
		return fmt.Errorf("journal directory %s may be written by others: %w", dir, snap.ErrPermission)
	}
	return nil
}

// kind gives an error of a file snap's kind.
func kind(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return snap.Hint(snap.As(snap.ErrPermission, what, err), "run as root")
	case errors.Is(err, fs.ErrNotExist):
		return snap.As(snap.ErrNotFound, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (j *journal) close() {
	if j.lock != nil {
		_ = j.lock.Close() // which lets go of the lock
	}
}

// newID is the time, with a number when it is taken.
func (j *journal) newID(now time.Time) string {
	base := now.UTC().Format("20060102-150405")
	id := base
	for n := 2; ; n++ {
		if _, err := os.Lstat(j.path(id)); err != nil {
			return id
		}
		id = base + "." + strconv.Itoa(n)
	}
}

func (j *journal) path(id string) string { return filepath.Join(j.dir, id+".json") }

// write puts an entry on the disk: a new file, synced, renamed over the old
// one, and the directory synced.
func (j *journal) write(e *entry) error {
	e.Version = journalVersion
	b, err := json.Marshal(e) // one of Build is gone before anybody reads it
	if e.Build == "" {
		b, err = json.MarshalIndent(e, "", " ")
	}
	if err != nil {
		return err
	}
	return writeFile(j.path(e.ID), append(b, '\n'))
}

func writeFile(path string, b []byte) error { return writeFileMode(path, b, 0o600) }

func writeFileMode(path string, b []byte, perm fs.FileMode) error {
	tmp := path + ".new"
	open := func() (*os.File, error) { return os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm) }
	f, err := open()
	if errors.Is(err, fs.ErrExist) { // of a run that was cut off
		if err := os.Remove(tmp); err != nil {
			return err
		}
		f, err = open()
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // the error that matters is err
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // Sync is what counts
	return d.Sync()
}

func (j *journal) remove(e *entry) error {
	if err := os.Remove(j.path(e.ID)); err != nil {
		return fmt.Errorf("removing journal %s: %w", e.ID, err)
	}
	return syncDir(j.dir)
}

// list reads all entries, oldest first. One that can't be read is an error: it
// may be a change that is to be undone.
func (j *journal) list() ([]*entry, error) { return readAll(j.dir) }

// entryIDs are the transactions of which a journal has a file; none where there is
// no journal yet.
func entryIDs(dir string) ([]string, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, kind("reading the journal", err)
	}
	var out []string
	for _, n := range names {
		if id, ok := strings.CutSuffix(n.Name(), ".json"); ok {
			out = append(out, id)
		}
	}
	return out, nil
}

func readAll(dir string) ([]*entry, error) {
	ids, err := entryIDs(dir)
	if err != nil {
		return nil, err
	}
	var out []*entry
	for _, id := range ids {
		e, err := readEntry(filepath.Join(dir, id+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // of another host's namespace, which has a lock of its own
		}
		if err != nil {
			return nil, fmt.Errorf("journal %s: %w", id, err)
		}
		out = append(out, e)
	}
	snap.Sort(out, func(a, b *entry) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if d := len(a.ID) - len(b.ID); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// maxEntry bounds a journal file: a thousand rules with their bytes take 2 MiB.
const maxEntry = 64 << 20

// entryFile is what a journal file holds.
func entryFile(path string) ([]byte, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxEntry {
		return nil, fmt.Errorf("it is no regular file of a fit size: %w", snap.ErrUnsupported)
	}
	return os.ReadFile(path)
}

func readEntry(path string) (*entry, error) {
	b, err := entryFile(path)
	if err != nil {
		return nil, err
	}
	return parseEntry(b)
}

func parseEntry(b []byte) (*entry, error) {
	var e struct {
		entry
		Steps json.RawMessage `json:"steps"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	out := e.entry
	if e.Version != journalVersion {
		out.unread = fmt.Errorf("journal %s is of version %d: %w", e.ID, e.Version, snap.ErrUnsupported)
		return &out, nil
	}
	if err := json.Unmarshal(e.Steps, &out.Steps); errors.Is(err, snap.ErrUnsupported) {
		out.Steps, out.unread = nil, fmt.Errorf("journal %s: %w", e.ID, err)
	} else if err != nil {
		return nil, err
	}
	for _, s := range out.Steps {
		if s == nil || slices.Contains(append(s.Op, s.Undo...), nil) || len(s.Op) != 1 && (e.Build != buildMake || len(s.Undo) == 0) {
			return nil, fmt.Errorf("a step has no operation")
		}
	}
	return &out, nil
}

// find is the entry with that ID, or for "" the last that stands.
func (j *journal) find(id string, host hostKey) (*entry, error) {
	list, err := j.list()
	if err != nil {
		return nil, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		e := list[i]
		elsewhere := host.elsewhere(e)
		switch {
		case id == e.ID && elsewhere:
			return nil, snap.Hint(snap.NotFoundf("transaction %s was made on another host's namespace", id), "run it there, or name that namespace with --host-ns")
		case id == e.ID && e.unread != nil:
			return nil, snap.Hint(e.unread, "undo it with the version that made it")
		case id == "" && e.unread != nil && !elsewhere && e.State != stateUndone && e.Boot == bootID():
			return nil, snap.Hint(e.unread, "undo it with the version that made it, or name an older one: netdoctor undo --list")
		case id == e.ID, id == "" && !elsewhere && (e.State == stateDone || e.State == stateStuck) && (e.Boot == "" || e.Boot == bootID()):
			return e, nil
		}
	}
	if id == "" {
		return nil, snap.NotFoundf("nothing to undo")
	}
	return nil, snap.Hint(snap.NotFoundf("no transaction %s", id), "netdoctor undo --list")
}

// List gives the transactions in the journal, oldest first.
func (a *Applier) List() ([]Entry, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	list, err := readAll(dir)
	if err != nil {
		return nil, err
	}
	var key *hostKey // nil: this host can't be told from others
	if m, err := a.open(nil); err == nil {
		k := m.key()
		key = &k
		m.close()
	}
	out := make([]Entry, len(list))
	for i, e := range list {
		out[i] = e.public()
		out[i].Past = e.Boot != "" && e.Boot != bootID()
		out[i].Elsewhere = key != nil && key.elsewhere(e)
	}
	return out, nil
}

// bootID is the life of the machine; "" not known.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
})
