package testenv_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

const drifting = `
services:
  web: {networks: [app], ports: ["8080:80"]}
  workers: {networks: [app], scale: 2}
networks:
  app: {}
  far: {driver: overlay, driver_opts: {local: 198.51.100.1}, x-peers: {10.0.1.9: 198.51.100.2}}
`

// doctor is the program on this host, with a journal of its own.
func doctor(t *testing.T) *app.App {
	t.Helper()
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	a := app.New()
	a.Probe = nil
	// The reader of containers' files is this program's child, which a test is not.
	a.Read = func(ctx context.Context, _ app.ReadOptions) (*snap.Snapshot, error) { return readHere(ctx) }
	return a
}

// kernelState is what networks have in the kernel: devices, addresses, routes,
// rules, some settings, of the host and of one container, without numbers that a
// new device gets anew.
func kernelState(t *testing.T, inside ...string) string {
	t.Helper()
	const look = `ip -br link | sed 's/@if[0-9]*//; s/[0-9a-f:]\{17\}//; s/UNKNOWN */UP /; s/  */ /g' | sort
ip -br addr | grep -v '^lo' | sed 's/@if[0-9]*//; s/fe80[^ ]*//; s/UNKNOWN */UP /; s/  */ /g' | sort; ip route | sed 's/linkdown *//' | sort
ip -o -d link | grep -o 'veth[0-9a-f]*@.*master nd-[0-9a-f]*' | sed 's/@if[0-9]*: .*master/ master/' | sort
nft list tables | sort | while read -r _ f t; do nft -s list table $f $t | sed 's/ counter//'; done; sysctl net.ipv4.ip_unprivileged_port_start
ip neigh show nud permanent; bridge fdb show 2>/dev/null | grep 'dst '; ss -lntuH | awk '{print $1, $5}' | sort
`
	if err := os.WriteFile("/run/look.sh", []byte(look), 0o644); err != nil {
		t.Fatal(err)
	}
	out := sh(t, "sh /run/look.sh")
	for _, ns := range inside {
		out += "--- " + ns + "\n" + sh(t, "nsenter --net="+ns+" sh /run/look.sh")
	}
	return out
}

// TestFixMendsDriftOfOurOwn breaks a set-up in one way after another: check
// finds it, fix mends it and sees that it did, undo breaks it again as it was.
func TestFixMendsDriftOfOurOwn(t *testing.T) {
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) { mendsDrift(t, gen) })
	}
}

func mendsDrift(t *testing.T, gen driver.Generation) {
	t.Helper()
	lan(t)
	ctx := context.Background()
	h := raised(t, parse(t, drifting), gen)
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	web := st.Container("web")
	br, port := st.Network("app").Net.Bridge, web.Ctr.Endpoints[0].HostLink
	far := "/run/netdoctor/env/netns/1-" + st.Network("far").Net.ID[:10]
	inWeb, inFar := "nsenter --net="+web.Ctr.SandboxKey+" ", "nsenter --net="+far+" "
	rules, dnat, names := "iptables -F NETDOCTOR; iptables -t nat -F NETDOCTOR", "iptables -t nat -D NETDOCTOR $(iptables -t nat -S NETDOCTOR | grep -n DNAT | cut -d: -f1 | awk '{print $1-1}')", inWeb+"iptables -t nat -F NETDOCTOR_OUTPUT"
	if gen == driver.Docker29n {
		rules, dnat, names = "nft flush chain ip netdoctor-bridges filter-forward-in__"+br, "nft flush chain ip netdoctor-bridges nat-prerouting-and-output", inWeb+"nft delete table ip netdoctor-dns"
	}
	a := doctor(t)
	state := func() string { return kernelState(t, web.Ctr.SandboxKey, far) }
	codes := func(name string) []string {
		t.Helper()
		r, err := a.Check(ctx, app.CheckOptions{})
		if err != nil {
			t.Fatalf("%s: check: %v", name, err)
		}
		var out []string
		for _, f := range r.Findings {
			out = append(out, f.Code+" "+f.Summary)
			out = append(out, f.Hides...)
		}
		return out
	}
	healthy := codes("as set up")
	for _, c := range healthy {
		if strings.HasPrefix(c, "ND6101") || strings.HasPrefix(c, "ND6103") {
			t.Fatalf("drift right after the set-up: %s", c)
		}
	}
	same(t, "a bridge without ports", "", func() string { // it is not down before the kernel has looked (net/core/link_watch.c)
		return sh(t, "ip -br link show type bridge up | grep -v LOWER_UP | grep -w UNKNOWN")
	})
	whole := state()
	for i, c := range []struct{ name, do, code string }{
		{"rules flushed", rules, "ND6101"},
		{"the DNAT rule deleted", dnat, "ND6101"},
		{"all rules flushed", "nft flush ruleset", "ND6101"},
		{"the resolver's rules in a container", names, "ND6101"},
		{"the services' table in a container", inWeb + "nft delete table ip netdoctor-services", "ND6101"},
		{"bridge down", "ip link set " + br + " down", "ND6103"},
		{"bridge deleted", "ip link del " + br, "ND6103"},
		{"gateway", "ip addr flush dev " + br, "ND6103"},
		{"port", "ip link set " + port + " nomaster", "ND6103"},
		{"port down", "ip link set " + port + " down", "ND6103"},
		{"pair deleted", "ip link del " + port, "ND6103"},
		{"device down", inWeb + "ip link set eth0 down", "ND6103"},
		{"loopback down", inWeb + "ip link set lo down", "ND6103"},
		{"route", inWeb + "ip route del default", "ND6103"},
		{"address", inWeb + "ip addr flush dev eth0", "ND6103"},
		{"setting", inWeb + "sysctl -q net.ipv4.ip_unprivileged_port_start=1024", "ND6103"},
		{"neighbour of an overlay", inFar + "ip neigh del 10.0.1.9 dev vxlan0", "ND6103"},
		{"forwarding entry of an overlay", inFar + "bridge fdb del 02:42:0a:00:01:09 dev vxlan0 dst 198.51.100.2 self", "ND6103"},
		{"helper killed", `kill -9 $(sed -n '/"helper"/,/}/s/.*"pid": \([0-9]*\).*/\1/p' /run/netdoctor/env/env.json)`, "ND6103"},
	} {
		if gen != driver.Docker29n && (i > 3 || i == 1) {
			continue // what is not rules is the same for all
		}
		sh(t, c.do)
		broken := steady(state)
		if broken == whole {
			t.Errorf("%s: nothing is broken", c.name)
			continue
		}
		got := codes(c.name)
		if !slices.ContainsFunc(got, func(x string) bool { return strings.HasPrefix(x, c.code) }) {
			t.Errorf("%s: check finds %q, want %s", c.name, got, c.code)
		}
		if d, err := h.Check(ctx); err != nil || len(d) == 0 {
			t.Errorf("%s: setup --check: %q, %v; want what is wrong", c.name, d, err)
		}
		fix := func() []string {
			t.Helper()
			r, err := a.Fix(ctx, app.FixOptions{Yes: true, Want: []string{"ND6101", "ND6103"}})
			if err != nil {
				t.Errorf("%s: fix: %v", c.name, err)
				return nil
			}
			res, ok := r.(*v1.FixResult)
			if !ok || !res.Verified {
				t.Errorf("%s: fix: %T, want one that was seen to hold", c.name, r)
				return nil
			}
			return res.Transactions
		}
		ids := fix()
		same(t, c.name+": mended", whole, state)
		if len(ids) == 0 {
			if _, err := h.Up(ctx, parse(t, drifting), testenv.UpOptions{}); err != nil {
				t.Fatalf("%s: setting up again: %v", c.name, err)
			}
			continue
		}
		for _, id := range slices.Backward(ids) {
			if _, err := a.Undo(ctx, id); err != nil {
				t.Errorf("%s: undo %s: %v", c.name, id, err)
			}
		}
		same(t, c.name+": undone", broken, state)
		if _, err := h.Up(ctx, parse(t, drifting), testenv.UpOptions{}); err != nil { // setting up mends it as well
			t.Errorf("%s: setting up again: %v", c.name, err)
		}
		same(t, c.name+": set up again", whole, state)
		if d, err := h.Check(ctx); err != nil || len(d) > 0 {
			t.Errorf("%s: setup --check behind it: %q, %v", c.name, d, err)
		}
		if now := codes(c.name + ", mended"); !slices.Equal(now, healthy) {
			t.Errorf("%s: mended, and check finds %q, as set up %q", c.name, now, healthy)
		}
	}
}

// same waits until the kernel's state is as wanted: carriers take a moment.
// steady is the state when the kernel has thought of all that follows from it.
func steady(state func() string) string {
	was := state()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		now := state()
		if now == was {
			break
		}
		was = now
	}
	return was
}

func same(t *testing.T, what, want string, state func() string) {
	t.Helper()
	var d string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if d = cmp.Diff(strings.Split(want, "\n"), strings.Split(state(), "\n")); d == "" {
			return
		}
	}
	t.Errorf("%s (-want +got)\n%s", what, d)
}
