package app

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestWithoutANetwork: a container that has no network of its own says where it lives.
func TestWithoutANetwork(t *testing.T) {
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Containers: []snap.Container{
		{Ref: "docker:web", Name: "web", Netns: "web", Endpoints: []snap.Endpoint{{}}},
		{Ref: "docker:side", Name: "side", Netns: "web", NetworkMode: "container:web", State: "running"},
		{Ref: "docker:agent", Name: "agent", Netns: "host", NetworkMode: "host", State: "running"},
		{Ref: "docker:batch", Name: "batch", Netns: "batch", NetworkMode: "none", State: "running"},
		{Ref: "docker:old", Name: "old", State: "exited"},
	}}
	m := &mapper{s: s}
	m.rest()
	for name, want := range map[string]string{
		"side": "running, in the namespace of web", "agent": "running, in the host's namespace", "batch": "running, no network", "old": "exited",
	} {
		found := false
		for _, n := range m.nodes {
			if n.Name == name {
				found = true
				if n.State != want {
					t.Errorf("%s: %q, want %q", name, n.State, want)
				}
			}
		}
		if !found {
			t.Errorf("%s is not on the map", name)
		}
	}
}
