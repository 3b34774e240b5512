package dockerd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRealDockerd breaks a host with a real dockerd in the ways that users
// meet, and has it named, mended and undone by the command line itself.
func TestRealDockerd(t *testing.T) {
	if !alone(t) {
		return
	}
	h := start(t)
	h.quiet()
	for _, c := range []struct {
		name, code string
		breaks     func()
	}{
		{"a veth is off its bridge", "ND1107", func() { h.run("ip", "link", "set", h.veth("web"), "nomaster") }},
		{"the rules of FORWARD are flushed, the policy drops", "ND6101", func() { h.run("iptables", "-F", "FORWARD") }},
		{"the masquerade rule is gone", "ND6101", func() {
			h.run("iptables", "-t", "nat", "-D", "POSTROUTING", "-s", "172.30.1.0/24", "!", "-o", "br-app", "-j", "MASQUERADE")
		}},
		{"the nat table of a container is flushed, and with it the way to its resolver", "ND4201", func() {
			h.run("nsenter", "-t", h.pid("web"), "-n", "iptables", "-t", "nat", "-F", "OUTPUT")
		}},
	} {
		t.Run(c.name, func(t *testing.T) { h.story(t, c.code, c.breaks) })
	}
}

// story breaks the host; check names the cause first, fix mends it to the very
// state of before, undo gives back the broken one, and fix mends that, too.
func (h *host) story(t *testing.T, code string, breaks func()) {
	t.Helper()
	outer := h.t
	h.t = t
	defer func() { h.t = outer }()
	well := h.state()
	breaks()
	broken := h.state()
	if well == broken {
		t.Fatal("nothing is broken")
	}
	found, text := h.netdoctor(1, "check")
	if len(found.Findings) == 0 || found.Findings[0].Code != code {
		t.Fatalf("%s is not named first:\n%s", code, text)
	}
	for range 2 {
		fixed, text := h.netdoctor(0, "fix", "--yes")
		if !fixed.Verified {
			t.Fatalf("not verified:\n%s", text)
		}
		h.same("after the fix", well)
		h.quiet()
		if fixed.Transaction == "" {
			t.Fatalf("no transaction to undo:\n%s", text)
		}
		if code == "" {
			return
		}
		code = ""
		h.netdoctor(0, "undo", fixed.Transaction)
		h.same("after undo", broken)
	}
}

// quiet holds that a host that is well is told so, in so many words.
func (h *host) quiet() {
	h.t.Helper()
	a, text := h.netdoctor(0, "check")
	for _, f := range a.Findings {
		if f.Severity != "info" {
			h.t.Fatalf("a host that is well is not: %s", text)
		}
	}
	if a.Verdict != "healthy" {
		h.t.Fatalf("a host that is well is %s: %s", a.Verdict, text)
	}
}

// same waits until the state is as it should be: devices that came up find
// their carrier a moment later.
func (h *host) same(when, want string) {
	h.t.Helper()
	var got string
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); {
		if got = h.state(); got == want {
			return
		}
	}
	h.t.Fatalf("%s the state differs (-want +got)\n%s", when, cmp.Diff(want, got))
}

func (h *host) pid(container string) string {
	h.t.Helper()
	return h.run("docker", "inspect", "-f", "{{.State.Pid}}", container)
}

// veth is the host's end of a container's eth0.
func (h *host) veth(container string) string {
	h.t.Helper()
	// "4: eth0@if5: <…": the other end has the index 5 on the host.
	_, peer, _ := strings.Cut(h.run("nsenter", "-t", h.pid(container), "-n", "ip", "-o", "link", "show", "eth0"), "@if")
	peer, _, _ = strings.Cut(peer, ":")
	for line := range strings.Lines(h.run("ip", "-o", "link")) {
		if rest, ok := strings.CutPrefix(line, peer+": "); ok {
			name, _, _ := strings.Cut(rest, "@")
			return name
		}
	}
	h.t.Fatalf("no veth with index %s on the host", peer)
	return ""
}
