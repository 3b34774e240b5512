package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// process starts one in a namespace, and gives its pid.
func process(t *testing.T, h *ns.Handle, path string) int {
	t.Helper()
	labtest.Tools(t, "nsenter", "sleep")
	cmd := exec.CommandContext(t.Context(), "nsenter", "--net="+path, "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; {
		in, err := ns.OpenPid(cmd.Process.Pid)
		if err == nil {
			there := in.Inode() == h.Inode()
			_ = in.Close() // only a descriptor
			if there {
				return cmd.Process.Pid
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nsenter is not in its namespace: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAContainerThatStartsIsReadAnew: its network is half made when the kernel is
// read, and whole when the engine says that it runs.
func TestAContainerThatStartsIsReadAnew(t *testing.T) {
	host, hostPath := newNetns(t)
	blue, bluePath := newNetns(t)
	old, oldPath := newNetns(t)
	ip(t, host, fmt.Sprintf("link add br0 type bridge\nlink add vblue type veth peer name vethtmp netns %s\nlink add vold type veth peer name eth0 netns %s\n", bluePath, oldPath))
	var torn atomic.Int64
	c := &collector{ctx: t.Context(), o: Options{HostNS: hostPath}, torn: &torn}
	defer c.close()
	if err := c.find(); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	c.connected()
	ip(t, blue, "link set vethtmp name eth0\naddr add 192.0.2.2/24 dev eth0\n")
	ip(t, host, "link set vblue master br0\n")
	ip(t, old, "addr add 192.0.2.3/24 dev eth0\n")
	c.started([]snap.Container{
		{PID: process(t, blue, bluePath), State: "running", Started: since.Add(time.Millisecond)},
		{PID: process(t, old, oldPath), State: "running", Started: since.Add(-time.Hour)},
	}, since)
	place := func(h *ns.Handle) *snap.Netns { return &c.places[c.byIno[h.Inode()]].n }
	if l := place(blue).Link("eth0"); l == nil || len(place(blue).Addrs) == 0 {
		t.Errorf("what started has links %+v, addresses %+v", place(blue).Links, place(blue).Addrs)
	}
	if l := place(host).Link("vblue"); l == nil || l.Master == 0 {
		t.Errorf("the host was not read anew: %+v", l)
	}
	if a := place(old).Addrs; len(a) != 0 {
		t.Errorf("what ran before was read anew: %+v", a)
	}
}

func TestReadNeedsAHost(t *testing.T) {
	for _, spec := range []string{"/no/such/file", "4194304", os.TempDir()} {
		if _, err := Read(t.Context(), Options{HostNS: spec, NoEngines: true}); err == nil {
			t.Errorf("host namespace %s: no error", spec)
		}
	}
}
