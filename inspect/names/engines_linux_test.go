package names_test

import (
	"archive/tar"
	"bytes"
	"fmt"
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

// daemon is one engine under test.
type daemon struct {
	engine string
	cli    []string // how its command line is called
	scene  string
	asked  func() [][3]string
	// predicts says whether a server is the engine's own: then its answers are
	// not shown to the prediction.
	predicts func(netip.Addr) bool
	open     []string // questions whose answer depends on a version that is not known
	waits    []string // askers whose programs wait longer than this test
}

// dockerScene is what the questions are asked in, as docker commands. The world's
// name server is $DNS; it knows www.example.test and everything in wild.corp.
const dockerScene = `
network create --subnet 172.31.1.0/24 nda
network create --subnet 172.31.2.0/24 ndb
network create --subnet 172.31.3.0/24 --internal ndint
run -d --name nd-svc1 --network nda --ip 172.31.1.21 --network-alias service --network-alias Mixed.Case --hostname svc1host $RUN
run -d --name nd-svc2 --network nda --ip 172.31.1.22 --network-alias service $RUN
run -d --name nd-old --network nda --ip 172.31.1.23 --network-alias older $RUN
run -d --name nd-ask --network nda --ip 172.31.1.11 $RUN
run -d --name nd-both --network nda --ip 172.31.1.12 $RUN
network connect --ip 172.31.2.12 --alias second ndb nd-both
run -d --name nd-far --network ndb --ip 172.31.2.21 --network-alias service $RUN
run -d --name nd-iso --network ndint --ip 172.31.3.11 $RUN
run -d --name nd-iso2 --network ndint --ip 172.31.3.12 $RUN
run -d --name nd-link --network nda --ip 172.31.1.13 --link nd-svc1:short $RUN
run -d --name nd-opts --network nda --ip 172.31.1.14 --dns-option ndots:2 --dns-search wild.corp $RUN
run -d --name nd-list --network nda --ip 172.31.1.18 --dns-search example.test $RUN
run -d --name nd-slow --network nda --ip 172.31.1.15 --dns 192.168.50.77 --dns $DNS $RUN
run -d --name nd-deaf --network nda --ip 172.31.1.16 --dns 192.168.50.77 $RUN
run -d --name nd-host --network nda --ip 172.31.1.17 --add-host pinned:203.0.113.5 $RUN
run -d --name nd-plain $RUN
pause nd-svc2
stop -t 0 nd-old
`

// questions are who, which name, which type; the type is A when it is left out.
type questions [][3]string

func (qs *questions) add(who string, list ...string) {
	for _, q := range list {
		name, typ, ok := strings.Cut(q, " ")
		if !ok {
			typ = "A"
		}
		*qs = append(*qs, [3]string{who, name, typ})
	}
}

func dockerAsked() [][3]string {
	var out questions
	add := out.add
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
	add("nd-list", "www", "nobody", "nd-svc1", "www.example.test", "nd-old", "www TXT")
	add("nd-slow", "nd-svc1", "www.example.test", "nobody.example.test")
	add("nd-deaf", "nd-svc1", "www.example.test", "nd-old")
	add("nd-host", "pinned", "pinned AAAA", "nd-host")
	add("nd-plain", "nd-svc1", "nd-plain", "www.example.test", "localhost", "172.31.1.21 PTR")
	return out
}

// podmanScene likewise for podman with netavark and aardvark-dns.
const podmanScene = `
network create --subnet 10.89.11.0/24 pda
network create --subnet 10.89.12.0/24 pdb
network create --subnet 10.89.13.0/24 --internal pdint
run -d --name pd-svc1 --network pda --ip 10.89.11.21 --network-alias service --network-alias MixedCase --hostname svc1host $RUN
run -d --name pd-svc2 --network pda --ip 10.89.11.22 --network-alias service $RUN
run -d --name pd-old --network pda --ip 10.89.11.23 --network-alias older $RUN
run -d --name pd-ask --network pda --ip 10.89.11.11 $RUN
run -d --name pd-both --network pda:ip=10.89.11.12 --network pdb:ip=10.89.12.12 $RUN
run -d --name pd-far --network pdb --ip 10.89.12.21 --network-alias service $RUN
run -d --name pd-iso --network pdint --ip 10.89.13.11 $RUN
run -d --name pd-iso2 --network pdint --ip 10.89.13.12 $RUN
run -d --name pd-host --network pda --ip 10.89.11.17 --add-host pinned:203.0.113.5 $RUN
run -d --name pd-plain $RUN
stop -t 0 pd-old
`

func podmanAsked() [][3]string {
	var out questions
	out.add("pd-ask",
		"pd-svc1", "PD-SVC1", "pd-svc1.", "pd-svc1.dns.podman", "pd-svc1.pda", "svc1host", "service", "service.dns.podman", "mixedcase",
		"pd-svc2", "pd-old", "older", "pd-far", "pd-both", "pd-ask", "pd-iso", "pinned", "localhost", "nobody", "nobody.dns.podman",
		"pd-svc1 AAAA", "pd-svc1 MX", "pd-svc1 TXT", "pd-svc1 SRV", "pd-svc1 CNAME", "pd-svc1 ANY", "service AAAA",
		"10.89.11.21 PTR", "10.89.12.21 PTR", "10.89.11.99 PTR", "198.51.100.20 PTR", "example.test", "www.example.test TXT",
		"www.example.test", "www.example.test AAAA", "www6.example.test AAAA", "nobody.example.test", "any.wild.corp", "8.8.8.8")
	out.add("pd-both", "service", "service.", "pd-far", "pd-far.", "pd-far.dns.podman", "service AAAA", "pd-svc1", "pd-both", "10.89.12.21 PTR", "www.example.test")
	out.add("pd-far", "service", "pd-svc1", "pd-both", "www.example.test")
	out.add("pd-iso", "pd-iso2", "pd-svc1", "www.example.test", "pd-iso2 AAAA", "10.89.13.12 PTR")
	out.add("pd-host", "pinned", "pinned AAAA", "pd-host", "pd-svc1")
	out.add("pd-plain", "pd-svc1", "www.example.test", "localhost")
	return out
}

// TestPredictionsAgainstDockerd asks a real daemon what was predicted of it. It
// needs DOCKER_HOST to lead to a daemon on a throw-away host whose upstream
// server is ND_DNS: set by whoever runs it there. ND_ASKERS leaves only the
// questions of these containers.
func TestPredictionsAgainstDockerd(t *testing.T) {
	if os.Getenv("ND_DNS") == "" || os.Getenv("DOCKER_HOST") == "" {
		t.Skip("needs a throw-away Docker host (DOCKER_HOST) and its name server (ND_DNS)")
	}
	embedded := netip.AddrFrom4([4]byte{127, 0, 0, 11})
	compare(t, daemon{
		engine: "docker", cli: []string{"docker"}, scene: dockerScene, asked: dockerAsked,
		predicts: func(a netip.Addr) bool { return a == embedded }, waits: []string{"nd-deaf", "nd-slow"},
	})
}

// TestPredictionsAgainstPodman likewise; ND_PODMAN is podman with the options
// that it needs there.
func TestPredictionsAgainstPodman(t *testing.T) {
	if os.Getenv("ND_DNS") == "" || os.Getenv("ND_PODMAN") == "" {
		t.Skip("needs a throw-away host's podman (ND_PODMAN) and its name server (ND_DNS)")
	}
	nets := netip.MustParsePrefix("10.89.0.0/16")
	compare(t, daemon{
		engine: "podman", cli: strings.Fields(os.Getenv("ND_PODMAN")), scene: podmanScene, asked: podmanAsked, predicts: nets.Contains,
		open: []string{"pd-ask PD-SVC1 A", "pd-iso www.example.test A"},
	})
}

// compare builds the scene, and holds every prediction against what is answered.
func compare(t *testing.T, d daemon) {
	t.Helper()
	labtest.Tools(t, d.cli[0], "busybox", "getent", "nsenter", "unshare")
	build(t, d)
	s := read(t)
	musl := muslProgram(t)
	var fell, asked int
	askers := strings.Fields(os.Getenv("ND_ASKERS"))
	for _, q := range d.asked() {
		if len(askers) > 0 && !slices.Contains(askers, q[0]) {
			continue
		}
		asked++
		c := container(t, s, d.engine, q[0])
		in := names.Input{Snap: s, Netns: c.Netns, Container: c.Ref, Name: q[1], Type: q[2], Reach: reach}
		with, without := d.ask(t, s, in)
		in.Snap = without
		want := names.Resolve(in)
		in.Snap = with
		got := names.Reconcile(in)
		label := strings.Join(q[:], " ")
		switch {
		case len(got.Contradictions) > 0:
			t.Errorf("%s: %+v", label, got.Contradictions)
		case want.Verdict == names.Unknown && slices.Contains(d.open, label):
		case want.Verdict == names.Unknown, failed(want.Verdict) != failed(got.Verdict), !failed(want.Verdict) && want.Verdict != got.Verdict, !same(want.Answers, got.Answers):
			t.Errorf("%s: predicted %s %v, the servers say %s %v\n%s", label, want.Verdict, want.Answers, got.Verdict, got.Answers, way(want))
		default:
			fell++
		}
		if q[2] == "A" && want.Verdict != names.Unknown && !slices.Contains(d.waits, q[0]) {
			programs(t, c, q[1], musl, want)
		}
	}
	t.Logf("%d of %d questions as predicted", fell, asked)
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
func (d *daemon) ask(t *testing.T, s *snap.Snapshot, in names.Input) (with, without *snap.Snapshot) {
	t.Helper()
	var qs []probe.Question
	for _, q := range names.Questions(names.Resolve(in)) {
		qs = append(qs, probe.Question{Kind: "dns", From: s.Ns(q.From), Dst: q.Server, Options: probe.Options{Name: q.Name, Type: q.Type, Timeout: 9 * time.Second, Tries: 1}})
	}
	a, b := *s, *s
	a.Probes, b.Probes = nil, nil
	for _, p := range (&probe.Prober{}).Run(t.Context(), qs) {
		a.Probes = append(a.Probes, p)
		if !d.predicts(p.Dst.Addr()) {
			b.Probes = append(b.Probes, p)
		}
	}
	return &a, &b
}

func container(t *testing.T, s *snap.Snapshot, engine, name string) *snap.Container {
	t.Helper()
	for i := range s.Containers {
		if c := &s.Containers[i]; c.Name == name && c.Engine == engine {
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
func build(t *testing.T, d daemon) {
	t.Helper()
	run := func(stdin []byte, args ...string) error {
		cmd := exec.Command(d.cli[0], slices.Concat(d.cli[1:], args)...) // not t.Context: it is over when the scene is taken away
		cmd.Stdin = bytes.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", d.engine, strings.Join(args, " "), err, out)
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
	for line := range strings.Lines(strings.TrimSpace(d.scene)) {
		// The limits are those that a host without more can give.
		args := strings.Fields(strings.NewReplacer("$DNS", os.Getenv("ND_DNS"), "$RUN", "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 nd:1 sleep 100000").Replace(line))
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
