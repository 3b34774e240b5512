package app

import (
	"net/netip"
	"testing"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestDropsElsewhereNameNoContainer: another host's namespaces are found, too, and
// its containers may well have the addresses of ours.
func TestDropsElsewhereNameNoContainer(t *testing.T) {
	t.Parallel()
	web := netip.MustParseAddr("172.17.0.2")
	s := &snap.Snapshot{
		Host:       snap.Host{Netns: "host"},
		Netns:      []snap.Netns{{ID: "host", Class: snap.ClassHost}, {ID: "web", Class: snap.ClassContainer}, {ID: "other", Class: snap.ClassForeign}, {ID: "router", Class: snap.ClassOutside}},
		Containers: []snap.Container{{Engine: "docker", Name: "web", Ref: "docker:web", State: "running", Netns: "web", Endpoints: []snap.Endpoint{{Network: "bridge", IPv4: netip.PrefixFrom(web, 16)}}}},
	}
	for _, f := range []string{"inet_rtm_getroute", "bpf_prog_test_run_skb"} {
		w := &watcher{a: &App{}, kinds: map[v1.Drop]*v1.Drop{}, emit: func(e *v1.WatchEvent) error { t.Errorf("told of what %s dropped: %s", f, e.Text); return nil }}
		w.state(s)
		if err := w.drop(&snap.Seen{Netns: "host", Reason: "NOT_SPECIFIED", Func: f}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ netns, want string }{
		{"host", "docker:web"}, {"web", "docker:web"}, {"other", ""}, {"router", ""}, {"newer than what was read", ""},
	} {
		var got *v1.Drop
		w := &watcher{a: &App{}, kinds: map[v1.Drop]*v1.Drop{}, emit: func(e *v1.WatchEvent) error { got = e.Drop; return nil }}
		w.state(s)
		if err := w.drop(&snap.Seen{Netns: c.netns, Src: netip.AddrPortFrom(web, 1000), Dst: netip.AddrPortFrom(web, 80), Proto: snap.TCP, Reason: "TCP_CSUM"}); err != nil {
			t.Fatal(err)
		}
		if got == nil || got.FromContainer != c.want || got.ToContainer != c.want {
			t.Errorf("a drop in %q: %+v, want the container %q", c.netns, got, c.want)
		}
	}
}
