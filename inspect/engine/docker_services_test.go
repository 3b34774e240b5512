package engine

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dockerSwarm answers as a swarm's manager did when it was recorded.
func dockerSwarm(t *testing.T) http.Handler {
	t.Helper()
	plain, swarm := docker2010(t), http.NewServeMux()
	for path, file := range map[string]string{
		"GET /v1.41/info": "info", "GET /v1.41/networks": "networks", "GET /v1.41/services": "services",
		"GET /v1.41/networks/1skxdtg5v22g5bswn0ngiezj2": "ov", "GET /v1.41/networks/xfie8mvi35rwbbf8xk7z7sbbw": "ingress",
	} {
		b := readTestdata(t, "docker-20.10-swarm/"+file+".json")
		swarm.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if (file == "ov" || file == "ingress") && r.URL.Query().Get("verbose") != "true" {
				t.Errorf("%s is not asked verbosely", file)
			}
			_, _ = w.Write(b)
		})
	}
	swarm.Handle("/", plain)
	return swarm
}

func TestReadsTheServicesOfASwarm(t *testing.T) {
	t.Parallel()
	h := dockerHost(t)
	h.serve(dockerSwarm(t))
	got := Read(t.Context(), h.options())
	if diff := cmp.Diff([]string{}, gapKinds(got.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if !got.Engines[0].SwarmActive {
		t.Error("the swarm is not seen")
	}
	services := map[string][]snap.Service{}
	for _, n := range got.Networks {
		services[n.Name] = n.Services
		if n.DNS == n.Ingress {
			t.Errorf("names on %s: %v", n.Name, n.DNS)
		}
	}
	a := netip.MustParseAddr
	want := map[string][]snap.Service{
		"ov": {
			{Name: "pub", VIP: a("10.0.1.9"), Tasks: []netip.Addr{a("10.0.1.10"), a("10.0.1.11")}},
			{Name: "rr", Tasks: []netip.Addr{a("10.0.1.7"), a("10.0.1.8")}},
			{Name: "svc", VIP: a("10.0.1.2"), Tasks: []netip.Addr{a("10.0.1.3"), a("10.0.1.4")}},
		},
		"ingress": {{
			Name: "pub", VIP: a("10.0.0.3"), Tasks: []netip.Addr{a("10.0.0.4"), a("10.0.0.5")},
			Ports: []snap.Port{{Proto: snap.TCP, HostIP: a("0.0.0.0"), HostPort: 8081, ContainerPort: 80}},
		}},
	}
	if diff := cmp.Diff(want, services, values); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}
