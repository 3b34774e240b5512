package judge

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// scene is a network of namespaces that live as long as the test.
type scene struct {
	t  *testing.T
	ns map[string]*ns.Handle
	// ids are the namespaces' names in the snapshot read last.
	ids  map[string]string
	snap *snap.Snapshot
}

// build makes a scene. The script's lines are "NETNS COMMAND…" for the shell;
// in them @NAME is the path of a namespace. The namespace "host" is the one
// that the snapshot is read from.
func build(t *testing.T, script string) *scene {
	t.Helper()
	s := &scene{t: t, ns: map[string]*ns.Handle{}, ids: map[string]string{}}
	names := []string{}
	for line := range strings.Lines(script) {
		if f := strings.Fields(line); len(f) > 0 && !slices.Contains(names, f[0]) && f[0] != "#" {
			names = append(names, f[0])
		}
	}
	for _, n := range names {
		s.ns[n] = labtest.Netns(t)
		s.run(n, quiet)
	}
	s.script(script)
	for n := range s.ns {
		s.run(n, carriers)
	}
	return s
}

// carriers waits for devices to find out that their other ends are up: the
// kernel tells up to a second later (net/core/link_watch.c).
const carriers = `for i in $(seq 100); do ip link | grep -q NO-CARRIER || break; sleep 0.02; done`

// quiet is what every namespace of a scene begins with: loopback up, addresses
// usable at once, ICMP errors without a rate.
const quiet = `ip link set lo up
cd /proc/sys/net
echo 0 > ipv4/icmp_ratelimit
echo 0 > ipv4/conf/all/rp_filter; echo 0 > ipv4/conf/default/rp_filter
if [ -d ipv6 ]; then
	echo 0 > ipv6/icmp/ratelimit; echo 0 > ipv6/conf/default/accept_dad; echo 0 > ipv6/conf/all/accept_dad
	echo 0 > ipv6/conf/default/accept_ra; echo 0 > ipv6/conf/default/router_solicitations
fi`

// script runs lines; those of one namespace that follow each other in one shell.
func (s *scene) script(text string) {
	s.t.Helper()
	var at string
	var lines []string
	flush := func() {
		s.t.Helper()
		if len(lines) > 0 {
			s.run(at, strings.Join(lines, "\n"))
		}
		lines = nil
	}
	for line := range strings.Lines(text) {
		n, cmd, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || n == "#" {
			continue
		}
		if n != at {
			flush()
			at = n
		}
		lines = append(lines, cmd)
	}
	flush()
}

// run runs a shell script in a namespace.
func (s *scene) run(n, script string) {
	s.t.Helper()
	for _, other := range slices.SortedFunc(maps.Keys(s.ns), func(a, b string) int { return len(b) - len(a) }) {
		script = strings.ReplaceAll(script, "@"+other, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.ns[other].Fd()))
	}
	_, err := ns.Tool{Name: "sh", Args: []string{"-ec", script}}.Run(s.t.Context(), s.ns[n])
	if errors.Is(err, snap.ErrTool) {
		labtest.Lacking(s.t, "%v", err)
	}
	if failed, ok := errors.AsType[*ns.ToolError](err); ok {
		s.t.Fatalf("in %s:\n%s\n%s", n, script, failed.Stderr)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// supports says whether the kernel knows something; the test is skipped where
// it does not, whatever ND_LAB says: no tool can be installed to change it.
func supports(t *testing.T, what, script string) {
	t.Helper()
	if _, err := (ns.Tool{Name: "sh", Args: []string{"-ec", script}}).Run(t.Context(), labtest.Netns(t)); err != nil {
		t.Skipf("this kernel has no %s: %v", what, err)
	}
}

// read takes a snapshot of the scene.
func (s *scene) read() *sim.World {
	s.t.Helper()
	got, err := inspect.Read(s.t.Context(), inspect.Options{HostNS: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.ns["host"].Fd()), NoEngines: true, Tool: "judge"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.snap = got
	for name, h := range s.ns {
		for i := range got.Netns {
			if got.Netns[i].Inode == h.Inode() {
				s.ids[name] = got.Netns[i].ID
			}
		}
		if s.ids[name] == "" {
			s.t.Fatalf("the namespace %s is not in the snapshot", name)
		}
	}
	for _, g := range got.Gaps {
		if slices.Contains(slices.Collect(maps.Values(s.ids)), g.Netns) {
			s.t.Errorf("gap %+v", g)
		}
	}
	return sim.New(got)
}

// judge reads the scene, sends every flow ("NETNS PROTO DST [= VERDICT]", see
// parseFlow) and compares the kernel's verdict with sim's and, where it is
// given, with what was measured when the case was written.
func (s *scene) judge(flows ...string) {
	s.t.Helper()
	w := s.read()
	list := make([]flow, 0, len(flows))
	for _, f := range flows {
		list = append(list, s.parseFlow(f))
	}
	s.answers(w, list)
	got := s.send(list)
	s.again(w, list, got)
	for i, f := range list {
		tr := w.Trace(f.sim)
		kernel := got[i].verdict
		if f.want != "" && f.want != kernel {
			s.t.Errorf("%s: the kernel says %s (%s), it was measured as %s", f.text, kernel, got[i].detail, f.want)
		}
		said := folded(tr)
		if f.unknown && tr.Verdict == sim.Unknown {
			continue
		}
		if said != kernel || f.unknown {
			s.t.Errorf("%s: the kernel says %s (%s), sim %s\n%s", f.text, kernel, got[i].detail, said, s.trail(tr))
			continue
		}
		if e := got[i].errno; e != "" && tr.Where != nil && tr.Where.Netns == s.ids[f.from] && errnos[tr.Where.Reason] && tr.Where.Reason != e && !tr.Where.Reply {
			s.t.Errorf("%s: the kernel tells the sender %s, sim says %s\n%s", f.text, e, tr.Where.Reason, s.trail(tr))
		}
	}
}

// again asks those once more, with more time, whose answer sim expects and that have
// none: on a busy machine an answer may take longer than the wait, and a neighbour
// that was not found in it is told as EHOSTUNREACH. What a route or a rule refuses
// is refused again.
func (s *scene) again(w *sim.World, list []flow, got []outcome) {
	s.t.Helper()
	var late []flow
	var at []int
	for i, f := range list {
		if v := folded(w.Trace(f.sim)); got[i].verdict == "dropped" && (got[i].errno == "" || got[i].errno == "EHOSTUNREACH") && (v == "delivered" || v == "refused") {
			late, at = append(late, f), append(at, i)
			s.t.Logf("%s: asked again after %s", f.text, got[i].detail)
		}
	}
	if len(late) == 0 {
		return
	}
	for k, o := range s.sendWithin(late, 6*answerWithin) {
		got[at[k]] = o
	}
}

// errnos are the reasons that name what a sender is told.
var errnos = map[string]bool{"ENETUNREACH": true, "EHOSTUNREACH": true, "EACCES": true, "EINVAL": true, "EADDRNOTAVAIL": true, "EMSGSIZE": true}

// folded is what a sender can tell of a verdict: a firewall that refuses looks
// like the destination's own refusal.
func folded(t *sim.Trace) string {
	if t.Verdict == sim.Dropped && t.Where != nil && t.Where.Rule != nil {
		for _, w := range []string{"tcp reset", "tcp-reset", "port-unreach", "icmpx"} {
			if strings.Contains(t.Where.Detail, "rejects it with") && strings.Contains(t.Where.Detail, w) {
				return "refused"
			}
		}
	}
	return string(t.Verdict)
}

// trail prints the hops of a trace.
func (s *scene) trail(t *sim.Trace) string {
	var b strings.Builder
	for i, hops := range [][]sim.Hop{t.Forward, t.Reply} {
		for _, h := range hops {
			fmt.Fprintf(&b, "  %s %-8s %-10s %-20s %-8s %s > %s  %s  %s\n", []string{">", "<"}[i], s.name(h.Netns), h.Device, h.Stage, h.Verdict, h.Src, h.Dst, h.Did, h.Rule)
		}
	}
	if t.Where != nil {
		fmt.Fprintf(&b, "  where %+v\n", *t.Where)
	}
	for _, u := range t.Unknown {
		fmt.Fprintf(&b, "  unknown: %s\n", u)
	}
	return b.String()
}

func (s *scene) name(id string) string {
	for n, i := range s.ids {
		if i == id {
			return n
		}
	}
	return id
}

// answerWithin bounds the wait for an answer: all ways of a scene are one
// machine's, and the first question for a neighbour goes out at once.
const answerWithin = 500 * time.Millisecond

// scenario is one thing done to a network, and the questions over it.
type scenario struct {
	name, script string
	flows        []string
}

// runCases judges scenarios, each on a network of its own.
func runCases(t *testing.T, base string, serve func(*scene), list []scenario) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := build(t, base)
			serve(s)
			s.script(c.script)
			s.judge(c.flows...)
		})
	}
}
