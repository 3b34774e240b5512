package apply

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Hosts in namespaces share one journal when they share a file system.
func TestUndoFindsTransactionsOfItsOwnHost(t *testing.T) {
	t.Parallel()
	j := &journal{dir: t.TempDir()}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, e := range []entry{
		{ID: "mine", Host: 7, Boot: bootID(), State: stateDone},
		{ID: "undone", Host: 7, Boot: bootID(), State: stateUndone},
		{ID: "reused", Host: 7, Cookie: 1, Boot: bootID(), State: stateDone},
		{ID: "theirs", Host: 8, Boot: bootID(), State: stateDone},
		{ID: "before", Host: 7, Boot: "another boot", State: stateDone},
	} {
		e.Version, e.At = journalVersion, at.Add(time.Duration(i)*time.Second)
		if err := j.write(&e); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, id string
		host     hostKey
		want     string // "" for snap.ErrNotFound
	}{
		{"the last that stands here", "", hostKey{inode: 7}, "reused"},
		{"the last that stands there", "", hostKey{inode: 8}, "theirs"},
		{"the inode was another's before", "", hostKey{inode: 7, cookie: 2}, "mine"},
		{"by name, of who had the inode before", "reused", hostKey{inode: 7, cookie: 2}, ""},
		{"nothing was done here", "", hostKey{inode: 9}, ""},
		{"by name", "mine", hostKey{inode: 7}, "mine"},
		{"by name, of another host", "theirs", hostKey{inode: 7}, ""},
		{"by name, of an earlier boot: the caller says so", "before", hostKey{inode: 7}, "before"},
		{"no such name", "none", hostKey{inode: 7}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := j.find(tt.id, tt.host)
			switch {
			case tt.want == "" && !errors.Is(err, snap.ErrNotFound):
				t.Errorf("found %v, error %v, want %v", e, err, snap.ErrNotFound)
			case tt.want != "" && (err != nil || e.ID != tt.want):
				t.Errorf("found %v, error %v, want %s", e, err, tt.want)
			}
		})
	}
}

// A newer version beside this one, in another namespace of the same file
// system, must not keep this one from working.
func TestAnotherVersionsStepsAreItsOwnMatter(t *testing.T) {
	t.Parallel()
	j := &journal{dir: t.TempDir()}
	mine := entry{ID: "mine", Host: 7, Boot: bootID(), State: stateDone, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if err := j.write(&mine); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"version":1,"id":"theirs","at":"2026-03-01T13:00:00Z","state":"open","host":8,"boot":"` + bootID() + `","steps":[{"op":[{"kind":"of-tomorrow","op":{}}],"text":"x","state":"done"}]}`,
		`{"version":2,"id":"newer","at":"2026-03-01T13:00:00Z","state":"done","host":8,"boot":"` + bootID() + `","steps":"another form"}`,
	} {
		var head struct{ ID string }
		if err := json.Unmarshal([]byte(text), &head); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(j.path(head.ID), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := j.find("", hostKey{inode: 7}); err != nil || e.ID != "mine" {
		t.Errorf("found %v, error %v, want mine", e, err)
	}
	if _, err := j.find("", hostKey{inode: 8}); !errors.Is(err, snap.ErrUnsupported) {
		t.Errorf("error %v, want %v: it is the last of that host", err, snap.ErrUnsupported)
	}
}
