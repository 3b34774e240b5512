package testenv_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

func parse(t testing.TB, text string) *spec.Spec {
	t.Helper()
	s, err := spec.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// raised sets up what a text says, with the rules of a Docker, and takes it away when
// the test ends.
func raised(t testing.TB, sp *spec.Spec, like driver.Generation) *testenv.Host {
	t.Helper()
	h := &testenv.Host{}
	ctx := context.Background()
	if _, err := h.Up(ctx, sp, testenv.UpOptions{Options: testenv.Options{Like: like}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := h.Down(ctx, false); err != nil {
			t.Error(err)
		}
	})
	return h
}

// sh runs a command line in the host's namespace and gives its output.
func sh(t testing.TB, line string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	_ = err // some of the lines find nothing, and say so
	return string(out)
}

// in runs a command in a container.
func in(t testing.TB, h *testenv.Host, name, line string) (string, int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var buf bytes.Buffer
	done := make(chan struct{})
	go func() { _, _ = buf.ReadFrom(r); close(done) }()
	code, err := h.Exec(context.Background(), name, []string{"sh", "-c", line}, null, w, w)
	w.Close()
	<-done
	r.Close()
	if err != nil {
		t.Fatalf("in %s: %s: %v", name, line, err)
	}
	return buf.String(), code
}

// dump is everything of the host that a set-up could leave something in.
func dump(t testing.TB) string {
	t.Helper()
	return sh(t, `ip -d link | sed 's/^[0-9]*: //; s/[a-z_]*timer *[0-9.]* *//g' | grep -v '^ *link/\(loopback\|ether\)' ; ip addr | grep inet; ip route show table all | grep -v ' table local'; nft -s list ruleset; sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding; find /run/netdoctor; grep /run/netdoctor /proc/self/mountinfo`)
}

const simple = `
services:
  web: {networks: [app]}
  client: {networks: [app]}
networks:
  app: {}
`

func TestUpAndDownLeavesNothing(t *testing.T) {
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			before := dump(t)
			h := &testenv.Host{}
			ctx := context.Background()
			if _, err := h.Up(ctx, parse(t, simple), testenv.UpOptions{Options: testenv.Options{Like: gen}}); err != nil {
				t.Fatal(err)
			}
			st, err := h.Status()
			if err != nil || st == nil || len(st.Containers) != 2 {
				t.Fatalf("state %v, %v; want two containers", st, err)
			}
			for line, want := range map[string]string{
				"ping -c1 -W2 web >/dev/null && echo reached":       "reached",
				"getent hosts web":                                  "web",
				"cat /etc/resolv.conf":                              "nameserver 127.0.0.11",
				"ip -4 route show default":                          "default via 172.17.0.1 dev eth0",
				"cat /proc/sys/net/ipv4/ip_unprivileged_port_start": "0",
				"hostname":                               st.Container("client").Ctr.ID[:12],
				"ls -d /proc/[0-9]* | wc -l | tr -d ' '": "",
			} {
				if out, _ := in(t, h, "client", line); !strings.Contains(out, want) {
					t.Errorf("%s: %q, want %q in it", line, out, want)
				}
			}
			if drift, err := h.Check(ctx); err != nil || len(drift) > 0 {
				t.Errorf("drift right after the set-up: %q, %v", drift, err)
			}
			r, err := h.Up(ctx, parse(t, simple), testenv.UpOptions{})
			if err != nil || len(r.Changes) > 0 {
				t.Errorf("the same again: %v, %v; want no change", r.Changes, err)
			}
			if _, err := h.Down(ctx, false); err != nil {
				t.Fatal(err)
			}
			if after := dump(t); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
		})
	}
}
