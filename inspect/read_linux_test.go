package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// newNetns makes a namespace that lives as long as the test; path leads to it.
func newNetns(t *testing.T) (h *ns.Handle, path string) {
	t.Helper()
	h = labtest.Netns(t)
	return h, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.Fd())
}

func ip(t *testing.T, h *ns.Handle, lines string) {
	t.Helper()
	_, err := ns.Tool{Name: "ip", Args: []string{"-batch", "-"}, Stdin: strings.NewReader(lines)}.Run(t.Context(), h)
	labtest.Ran(t, err)
}

func TestReadAHost(t *testing.T) {
	host, hostPath := newNetns(t)
	blue, bluePath := newNetns(t)
	mac, macPath := newNetns(t)
	rtr, rtrPath := newNetns(t)
	inet, inetPath := newNetns(t)
	alone, _ := newNetns(t)
	ip(t, host, fmt.Sprintf(`
link set lo up
link add br0 type bridge
link set br0 up
addr add 192.0.2.1/24 dev br0
link add vblue type veth peer name eth0 netns %s
link set vblue master br0
link set vblue up
link add up0 type veth peer name down0 netns %s
addr add 198.51.100.2/24 dev up0
link set up0 up
link add link up0 name mv0 type macvlan mode bridge
link set mv0 netns %s
`, bluePath, rtrPath, macPath))
	ip(t, rtr, fmt.Sprintf("link set down0 up\naddr add 198.51.100.1/24 dev down0\nlink add wan0 type veth peer name eth0 netns %s\n", inetPath))
	ip(t, host, "route add default via 198.51.100.1\n")
	ip(t, blue, "link set lo up\nlink set eth0 up\naddr add 192.0.2.2/24 dev eth0\nroute add default via 192.0.2.1\n")

	s, err := Read(t.Context(), Options{HostNS: hostPath, NoEngines: true, Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	find := func(h *ns.Handle) *snap.Netns {
		t.Helper()
		for i := range s.Netns {
			if s.Netns[i].Inode == h.Inode() {
				return &s.Netns[i]
			}
		}
		t.Fatalf("namespace %d is not in the snapshot", h.Inode())
		return nil
	}
	got := map[string]any{}
	for name, h := range map[string]*ns.Handle{"host": host, "blue": blue, "mac": mac, "rtr": rtr, "inet": inet, "alone": alone} {
		n := find(h)
		got[name] = [2]any{n.Class, n.Light}
	}
	want := map[string]any{
		"host": [2]any{snap.ClassHost, false}, "blue": [2]any{snap.ClassAttached, false}, "mac": [2]any{snap.ClassAttached, false},
		"rtr": [2]any{snap.ClassOutside, false}, "inet": [2]any{snap.ClassOutside, false}, "alone": [2]any{snap.ClassForeign, true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("class and lightness (-want +got)\n%s", d)
	}
	h, b := s.HostNs(), find(blue)
	if h.ID != "host" || s.Netns[0].ID != "host" {
		t.Errorf("the host is called %q, the first is %q", h.ID, s.Netns[0].ID)
	}
	v := h.Link("vblue")
	if v.PeerNetns != b.ID || b.LinkAt(v.Peer) == nil || b.LinkAt(v.Peer).Name != "eth0" {
		t.Errorf("vblue leads to %q, device %d", v.PeerNetns, v.Peer)
	}
	if m := find(mac).Link("mv0"); m.PeerNetns != "host" || h.LinkAt(m.Peer).Name != "up0" {
		t.Errorf("mv0: %+v", m)
	}
	if v, ok := b.Sysctl("net/ipv4/conf/eth0/forwarding"); !ok || v != "0" {
		t.Errorf("forwarding of blue's eth0: %q, %v", v, ok)
	}
	if len(b.Routes) == 0 || len(find(alone).Routes) != 0 {
		t.Errorf("routes: blue has %d, a foreign namespace %d", len(b.Routes), len(find(alone).Routes))
	}
	if h.Cookie == 0 || h.Cookie == b.Cookie {
		t.Errorf("cookies %d and %d", h.Cookie, b.Cookie)
	}
	for _, g := range s.Gaps {
		if n := s.Ns(g.Netns); n != nil && n.Class != snap.ClassForeign {
			t.Errorf("gap %+v", g)
		}
	}
	var file bytes.Buffer
	if err := Save(&file, s); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	var x, y bytes.Buffer
	if err := errors.Join(saveJSON(&x, s), saveJSON(&y, loaded)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(x.String(), y.String()); d != "" {
		t.Errorf("after saving and loading (-want +got)\n%s", d)
	}
}

func TestReadNeedsAHost(t *testing.T) {
	for _, spec := range []string{"/no/such/file", "4194304", os.TempDir()} {
		if _, err := Read(t.Context(), Options{HostNS: spec, NoEngines: true}); err == nil {
			t.Errorf("host namespace %s: no error", spec)
		}
	}
}
