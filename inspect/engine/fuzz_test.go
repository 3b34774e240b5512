package engine

import (
	"encoding/json"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// check fails on what no engine's words may bring about.
func check(t *testing.T, list ...snap.Container) {
	t.Helper()
	r := Result{Containers: list}
	r.finish()
	for _, c := range r.Containers {
		if c.Ref == "" || c.Endpoints == nil || c.Ports == nil {
			t.Errorf("unfinished container %+v", c)
		}
		for _, p := range c.Ports {
			if !p.HostIP.IsValid() {
				t.Errorf("port without an address: %+v", p)
			}
		}
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("can't be saved: %v", err)
		}
	}
}

func FuzzDocker(f *testing.F) {
	for _, n := range []string{"web", "plain", "containers", "networks", "info"} {
		f.Add(readTestdata(f, "docker-20.10/"+n+".json"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c dockerContainer
		if json.Unmarshal(b, &c) == nil {
			check(t, c.container(), c.container())
		}
		var list []dockerSummary
		if json.Unmarshal(b, &list) == nil {
			for i := range list {
				check(t, list[i].container())
			}
		}
		var nets []dockerNetwork
		if json.Unmarshal(b, &nets) == nil {
			for i := range nets {
				if _, err := json.Marshal(nets[i].network()); err != nil {
					t.Errorf("can't be saved: %v", err)
				}
			}
		}
		var st storedNetwork
		if json.Unmarshal(b, &st) == nil {
			_ = st.network()
		}
	})
}

func FuzzPodmanAndCNI(f *testing.F) {
	for _, s := range []string{podWebConfig, podWebState, podCliConfig, nerdConflist, cniEntry("x", "n", "/run/netns/x", "10.5.0.2/24", "10.5.0.1")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r podRecord
		_ = json.Unmarshal(b, &r.config) // half a value is a value, too
		_ = json.Unmarshal(b, &r.state)
		check(t, r.container())
		var l cniList
		if json.Unmarshal(b, &l) == nil {
			_, _ = l.network(CNI, "")
		}
		var a cniResult
		if json.Unmarshal(b, &a) == nil {
			check(t, snap.Container{Endpoints: []snap.Endpoint{a.endpoint()}, Ports: a.ports()})
		}
		parseAardvark(string(b))
		parseMounts(string(b))
	})
}
