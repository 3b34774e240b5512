package engine

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// With a real dockerd (ND_ENGINE=1, DOCKER_HOST as the docker command has it):
// what its files and the kernel tell must be what its API tells. Nothing is
// changed; the second reading asks a socket that is not there.
func TestOfflineTellsWhatTheAPITells(t *testing.T) {
	if os.Getenv("ND_ENGINE") == "" {
		t.Skip("needs a dockerd with containers: ND_ENGINE=1")
	}
	t.Parallel()
	online := Read(t.Context(), Options{Runtime: Docker})
	if len(online.Engines) != 1 || !online.Engines[0].Reachable || len(online.Containers) == 0 {
		t.Fatalf("no dockerd with containers: %+v %v", online.Engines, online.Gaps)
	}
	offline := Read(t.Context(), Options{Runtime: Docker, DockerHost: "unix:///run/netdoctor-nobody.sock"})
	if e := offline.Engines[0]; !e.Offline || e.DataRoot != online.Engines[0].DataRoot || e.UserlandProxy != online.Engines[0].UserlandProxy || e.IPTables != online.Engines[0].IPTables {
		t.Errorf("engine online %+v, offline %+v", online.Engines[0], e)
	}
	same := cmp.Options{
		values, cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(snap.Endpoint{}, "DNSNames"), // older APIs do not tell them
		cmpopts.IgnoreFields(snap.Process{}, "State"),
	}
	if diff := cmp.Diff(online.Containers, offline.Containers, same); diff != "" {
		t.Errorf("containers (-api +files):\n%s", diff)
	}
	if diff := cmp.Diff(online.Networks, offline.Networks, same); diff != "" {
		t.Errorf("networks (-api +files):\n%s", diff)
	}
	for _, c := range online.Containers {
		if c.Running() && c.PID == 0 {
			t.Errorf("%s runs and has no pid: %v", c.Name, online.Gaps)
		}
	}
}
