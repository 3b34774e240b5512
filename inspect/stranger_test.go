package inspect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestContainersOfAnotherHostAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		remote bool
		link   string
		want   []string
	}{
		{"the engine's socket in a container", true, "eth0", []string{"podman:db"}},
		{"the engine's host, without its processes", true, "br-app", []string{"docker:web", "podman:db"}},
		{"an engine of this host whose bridge is gone", false, "eth0", []string{"docker:web", "podman:db"}},
	} {
		s := &snap.Snapshot{
			Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Links: []snap.Link{{Index: 1, Name: c.link}}}},
			Engines:    []snap.Engine{{Name: "docker", Remote: c.remote, Reachable: true}, {Name: "podman"}},
			Networks:   []snap.Network{{Engine: "docker", Name: "app", Ref: "docker:app", Driver: "bridge", Bridge: "br-app"}},
			Containers: []snap.Container{{Engine: "docker", Ref: "docker:web"}, {Engine: "podman", Ref: "podman:db"}},
		}
		strangers(s)
		var got []string
		for i := range s.Containers {
			got = append(got, s.Containers[i].Ref)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		if kept := len(s.Networks) == 1; kept != (len(c.want) == 2) {
			t.Errorf("%s: networks %v", c.name, s.Networks)
		}
	}
}
