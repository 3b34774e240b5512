package inspect

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestNamesOfThisMountNamespaceComeFirst(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Host: snap.Host{Netns: "ns:1"}, Netns: []snap.Netns{
		{ID: "ns:1", Inode: 1},
		{ID: "ns:2", Inode: 2, Names: []string{"router"}, Path: "/proc/77/ns/net"},
		{ID: "ns:3", Inode: 3, Names: []string{"router"}, Path: "/run/netns/router"},
		{ID: "ns:4", Inode: 4, Names: []string{"router"}, Path: "/proc/78/ns/net"},
	}}
	names := nameAll(s, map[string][]int{})
	for id, want := range map[string]string{"ns:1": "host", "ns:3": "router", "ns:2": "netns:router"} {
		if names[id] != want {
			t.Errorf("%s is called %q, wanted %q", id, names[id], want)
		}
	}
	if names["ns:4"] == "router" || names["ns:4"] == "netns:router" {
		t.Errorf("two namespaces are called %q", names["ns:4"])
	}
}
