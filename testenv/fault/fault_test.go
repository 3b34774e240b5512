package fault

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestEveryFaultIsNamedOnceAndComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range All() {
		if f.Name == "" || f.Title == "" || f.Code == "" || f.Suffers == "" || f.Break == nil || seen[f.Name] {
			t.Errorf("%+v is not complete, or its name is taken", f.Name)
		}
		seen[f.Name] = true
		if g, err := Find(f.Name); err != nil || g.Name != f.Name {
			t.Errorf("%s is not found: %v", f.Name, err)
		}
	}
}

func TestAHostWithoutContainersIsNotBroken(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost}}}
	for _, f := range All() {
		if ops, err := f.Break(s, ""); err == nil {
			t.Errorf("%s: %v, and there is nothing to break", f.Name, ops)
		}
	}
}
