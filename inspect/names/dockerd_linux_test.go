package names_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// The test binary is the child that reads container files, too.
func TestMain(m *testing.M) {
	runtime.LockOSThread()
	if len(os.Args) == 2 && os.Args[1] == engine.ChildArg {
		if err := engine.Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "look-up" {
		lookUp(os.Args[2])
	}
	os.Exit(m.Run())
}

// lookUp is a Go program that asks for a name with Go's own resolver.
func lookUp(name string) {
	r := net.Resolver{PreferGo: true}
	list, err := r.LookupNetIP(context.Background(), "ip4", name)
	if err != nil {
		os.Exit(2)
	}
	for _, a := range list {
		fmt.Println(a.Unmap())
	}
	os.Exit(0)
}

// scene is what the questions are asked in, as docker commands. The world's
// name server is $DNS; it knows www.example.test and everything in wild.corp.
const scene = `
network create --subnet 172.31.1.0/24 nda
network create --subnet 172.31.2.0/24 ndb
network create --subnet 172.31.3.0/24 --internal ndint
run -d --name nd-svc1 --network nda --ip 172.31.1.21 --network-alias service --network-alias Mixed.Case --hostname svc1host nd:1 sleep 100000
run -d --name nd-svc2 --network nda --ip 172.31.1.22 --network-alias service nd:1 sleep 100000
run -d --name nd-old --network nda --ip 172.31.1.23 --network-alias older nd:1 sleep 100000
run -d --name nd-ask --network nda --ip 172.31.1.11 nd:1 sleep 100000
run -d --name nd-both --network nda --ip 172.31.1.12 nd:1 sleep 100000
network connect --ip 172.31.2.12 --alias second ndb nd-both
run -d --name nd-far --network ndb --ip 172.31.2.21 --network-alias service nd:1 sleep 100000
run -d --name nd-iso --network ndint --ip 172.31.3.11 nd:1 sleep 100000
run -d --name nd-iso2 --network ndint --ip 172.31.3.12 nd:1 sleep 100000
run -d --name nd-link --network nda --ip 172.31.1.13 --link nd-svc1:short nd:1 sleep 100000
run -d --name nd-opts --network nda --ip 172.31.1.14 --dns-option ndots:2 --dns-search wild.corp nd:1 sleep 100000
run -d --name nd-slow --network nda --ip 172.31.1.15 --dns 192.168.50.77 --dns $DNS nd:1 sleep 100000
run -d --name nd-deaf --network nda --ip 172.31.1.16 --dns 192.168.50.77 nd:1 sleep 100000
run -d --name nd-host --network nda --ip 172.31.1.17 --add-host pinned:203.0.113.5 nd:1 sleep 100000
run -d --name nd-plain nd:1 sleep 100000
pause nd-svc2
stop -t 0 nd-old
`

// asked are the questions: who, which name, which type.
func asked() [][3]string {
	var out [][3]string
	add := func(who string, list ...string) {
		for _, q := range list {
			name, typ, ok := strings.Cut(q, " ")
			if !ok {
				typ = "A"
			}
			out = append(out, [3]string{who, name, typ})
		}
	}
	add("nd-ask",
		"nd-svc1", "ND-SVC1", "nd-svc1.", "nd-svc1.nda", "nd-svc1.ndb", "svc1host", "service", "service.nda", "mixed.case", "mixed.case.nda",
		"nd-svc2", "nd-old", "older", "nd-far", "nd-both", "nd-both.ndb", "second", "nd-ask", "nd-iso", "pinned", "short", "localhost",
		"nd-svc1 AAAA", "nd-svc1 MX", "nd-svc1 TXT", "nd-svc1 SRV", "nd-svc1 ANY", "nd-svc1 CNAME", "service AAAA", "service TXT",
		"172.31.1.21 PTR", "172.31.1.11 PTR", "172.31.2.21 PTR", "172.31.1.99 PTR", "198.51.100.20 PTR", "172.31.1.1 PTR",
		"www.example.test", "www.example.test AAAA", "www6.example.test AAAA", "www.example.test TXT", "nobody.example.test", "big.example.test",
		"any.wild.corp", "any.wild.corp AAAA", "example.test", "8.8.8.8", "_sip._tcp.example.test SRV")
	add("nd-both", "service", "service.nda", "service.ndb", "second", "nd-far", "nd-both", "nd-both.ndb", "172.31.2.21 PTR", "172.31.1.12 PTR")
	add("nd-far", "service", "nd-svc1", "nd-both", "second", "nd-both.nda", "www.example.test")
	add("nd-iso", "nd-iso2", "nd-iso2.ndint", "nd-svc1", "172.31.3.12 PTR", "www.example.test", "nd-iso2 AAAA")
	add("nd-link", "short", "nd-svc1", "short.nda", "short AAAA")
	add("nd-opts", "nd-svc1", "nobody", "nobody.", "a.b", "www.example.test", "nobody TXT")
	add("nd-slow", "nd-svc1", "www.example.test", "nobody.example.test")
	add("nd-deaf", "nd-svc1", "www.example.test", "nd-old")
	add("nd-host", "pinned", "pinned AAAA", "nd-host")
	add("nd-plain", "nd-svc1", "nd-plain", "www.example.test", "localhost", "172.31.1.21 PTR")
	return out
}

// TestPredictionsAgainstDockerd asks a real daemon what was predicted of it. It
// needs DOCKER_HOST to lead to a daemon on a throw-away host whose upstream
// server is ND_DNS: set by whoever runs it there.
func TestPredictionsAgainstDockerd(t *testing.T) {
	dns := os.Getenv("ND_DNS")
	if dns == "" || os.Getenv("DOCKER_HOST") == "" {
		t.Skip("needs a throw-away Docker host (DOCKER_HOST) and its name server (ND_DNS)")
	}
	labtest.Tools(t, "docker", "busybox", "getent", "nsenter", "unshare")
	build(t, dns)
	s := read(t)
	var fell int
	for _, q := range asked() {
		c := container(t, s, q[0])
		in := names.Input{Snap: s, Netns: c.Netns, Container: c.Ref, Name: q[1], Type: q[2], Reach: reach}
		with, without := ask(t, s, in)
		in.Snap = without
		want := names.Resolve(in)
		in.Snap = with
		got := names.Reconcile(in)
		label := strings.Join(q[:], " ")
		switch {
		case len(got.Contradictions) > 0:
			t.Errorf("%s: %+v", label, got.Contradictions)
		case want.Verdict == names.Unknown, failed(want.Verdict) != failed(got.Verdict), !failed(want.Verdict) && want.Verdict != got.Verdict, !same(want.Answers, got.Answers):
			t.Errorf("%s: predicted %s %v, the servers say %s %v\n%s", label, want.Verdict, want.Answers, got.Verdict, got.Answers, way(want))
		default:
			fell++
		}
		if q[2] == "A" {
			programs(t, s, c, q[1], want)
		}
	}
	t.Logf("%d of %d questions as predicted", fell, len(asked()))
}

func way(p names.Path) string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "\t%s %s %s %s\n", s.Verdict, s.Where, s.Asked, s.Answer)
	}
	return b.String()
}

func failed(v names.Verdict) bool {
	return v == names.Timeout || v == names.ServFail || v == names.Refused
}

func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// reach: all ways are open here, as far as this host goes.
func reach(string, netip.AddrPort, snap.Proto) names.Reach { return names.Reach{Known: true, OK: true} }

// ask puts the questions of a path to its servers. The second snapshot lacks
// the answers of the resolvers whose answers are to be predicted.
func ask(t *testing.T, s *snap.Snapshot, in names.Input) (with, without *snap.Snapshot) {
	t.Helper()
	var qs []probe.Question
	for _, q := range names.Questions(names.Resolve(in)) {
		qs = append(qs, probe.Question{Kind: "dns", From: s.Ns(q.From), Dst: q.Server, Options: probe.Options{Name: q.Name, Type: q.Type, Timeout: 9 * time.Second, Tries: 1}})
	}
	a, b := *s, *s
	a.Probes, b.Probes = nil, nil
	for _, p := range (&probe.Prober{}).Run(t.Context(), qs) {
		a.Probes = append(a.Probes, p)
		if p.Dst.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 11}) {
			b.Probes = append(b.Probes, p)
		}
	}
	return &a, &b
}

// programs asks real programs of the asker's own files and namespace: one of
// the GNU C library, one of Go.
func programs(t *testing.T, s *snap.Snapshot, c *snap.Container, name string, p names.Path) {
	t.Helper()
	if c.Name == "nd-deaf" || c.Name == "nd-slow" {
		return // they wait longer than this test
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for libc, args := range map[string][]string{"glibc": {"getent", "ahostsv4", name}, "go": {self, "look-up", name}} {
		root := fmt.Sprintf("/proc/%d/root", c.PID)
		cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", c.PID), "unshare", "-m", "sh", "-c",
			// A file of another mount namespace can't be bound: a copy is.
			"mount -t tmpfs tmpfs /mnt && for f in resolv.conf hosts; do cat " + root + "/etc/$f >/mnt/$f && mount --bind /mnt/$f /etc/$f || exit 99; done; exec \"$@\"", "sh"}, args...)...)
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() == 99 {
			t.Fatalf("%s: putting its files in place: %v", c.Name, err)
		}
		var list []string
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 0 && !slices.Contains(list, f[0]) {
				list = append(list, f[0])
			}
		}
		want := p.Libc[libc]
		if (want == names.Resolved) != (err == nil && len(list) > 0) {
			t.Errorf("%s %s: %s was to get %s, and got %v (%v)", c.Name, name, libc, want, list, err)
		}
		if want == names.Resolved && !same(p.Answers, list) && name != "localhost" && p.Verdict == names.Resolved {
			t.Errorf("%s %s: %s was to get %v, and got %v", c.Name, name, libc, p.Answers, list)
		}
	}
}

func container(t *testing.T, s *snap.Snapshot, name string) *snap.Container {
	t.Helper()
	for i := range s.Containers {
		if c := &s.Containers[i]; c.Name == name && c.Engine == "docker" {
			return c
		}
	}
	t.Fatalf("container %s was not read", name)
	return nil
}

func read(t *testing.T) *snap.Snapshot {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := inspect.Read(t.Context(), inspect.Options{Engine: engine.Options{DockerHost: os.Getenv("DOCKER_HOST"), Child: []string{self, engine.ChildArg}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// build makes the scene, and takes it away after the test.
func build(t *testing.T, dns string) {
	t.Helper()
	run := func(stdin []byte, args ...string) error {
		cmd := exec.Command("docker", args...) // not t.Context: it is over when the scene is taken away
		cmd.Stdin = bytes.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	var made [][]string
	t.Cleanup(func() {
		for _, args := range slices.Backward(made) {
			if err := run(nil, args...); err != nil {
				t.Error(err)
			}
		}
	})
	if err := run(image(t), "import", "-", "nd:1"); err != nil {
		t.Fatal(err)
	}
	made = append(made, []string{"rmi", "nd:1"})
	for line := range strings.Lines(strings.TrimSpace(scene)) {
		args := strings.Fields(strings.ReplaceAll(line, "$DNS", dns))
		if err := run(nil, args...); err != nil {
			t.Fatal(err)
		}
		switch args[0] + args[1] {
		case "networkcreate":
			made = append(made, []string{"network", "rm", args[len(args)-1]})
		case "run-d":
			made = append(made, []string{"rm", "-f", args[3]})
		}
	}
}

// image is a file system with busybox alone.
func image(t *testing.T) []byte {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"bin/sleep"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(bin))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bin); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
