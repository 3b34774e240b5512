package testenv_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect"
	netns "github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/serve"
)

// world gives the host a way out with a name server on it.
func world(t *testing.T) {
	t.Helper()
	out := lan(t)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	zone := func() serve.Zone { return serve.Zone{"www.example.org.": {netip.MustParseAddr("203.0.113.7")}} }
	if err := out.Do(func() error {
		return serve.DNS(ctx, netip.MustParseAddrPort("198.51.100.2:53"), zone, netip.AddrPort{})
	}); err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/resolv.conf"
	if err := os.WriteFile(file, []byte("nameserver 198.51.100.2\nsearch example.net\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	target := strings.TrimSpace(sh(t, "readlink -f /etc/resolv.conf"))
	sh(t, "mkdir -p $(dirname "+target+"); touch "+target)
	if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
}

// TestTheServiceOfTwo is the example of the idea itself: a service of two
// containers and a client, and what netdoctor says of the service's name.
func TestTheServiceOfTwo(t *testing.T) {
	world(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
services:
  myservice: {networks: [app], deploy: {replicas: 2}, command: [%q, serve, "tcp:80"]}
  client: {networks: [app]}
networks:
  app: {}
`, self)
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			ctx := context.Background()
			h := raised(t, parse(t, text), gen)
			a := app.New()
			// The reader of containers' files is this program's child, which a test is not.
			a.Read = func(ctx context.Context, o app.ReadOptions) (*snap.Snapshot, error) { return readHere(ctx) }
			resolve := func(name string) *v1.DNSResult {
				t.Helper()
				r, err := a.DNS(ctx, app.DNSOptions{Name: name, From: "client"})
				if err != nil {
					t.Fatal(err)
				}
				d, ok := r.(*v1.DNSResult)
				if !ok {
					t.Fatalf("%s: %T", name, r)
				}
				return d
			}
			for name, want := range map[string][]string{
				"myservice": {"172.17.0.2"}, "tasks.myservice": {"172.17.0.3", "172.17.0.4"}, "www.example.org": {"203.0.113.7"}, "myservice.app": {"172.17.0.2"},
			} {
				r := resolve(name)
				if r.Verdict != "resolved" || !slices.Equal([]string(r.Answers), want) || len(r.Steps) < 3 {
					t.Errorf("%s: %s %v by %d steps; want %v", name, r.Verdict, r.Answers, len(r.Steps), want)
				}
			}
			if why := fmt.Sprint(resolve("myservice").Steps); !strings.Contains(why, "the virtual address of service myservice, in front of 172.17.0.3, 172.17.0.4") {
				t.Errorf("myservice: %s; want to be told whose address it is", why)
			}
			place, err := nsOf(t, h, "client")
			if err != nil {
				t.Fatal(err)
			}
			defer place.Close()
			until(t, "both containers of the service answer", func() bool {
				return ask(place, "172.17.0.3:80") == "ok" && ask(place, "172.17.0.4:80") == "ok"
			})
			for range 4 {
				if got := ask(place, "172.17.0.2:80"); got != "ok" {
					t.Errorf("the service's address: %s", got)
				}
			}
			r, err := a.Check(ctx, app.CheckOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Findings {
				if f.Severity != "info" {
					t.Errorf("check finds %s %s: %s", f.Code, f.Severity, f.Summary)
				}
			}
		})
	}
}

// TestAProcessIsConnected puts a process's namespace, which is nobody's
// container, on a network, and takes it off again.
func TestAProcessIsConnected(t *testing.T) {
	before := dump(t)
	h := &testenv.Host{}
	ctx := context.Background()
	if _, err := h.Up(ctx, parse(t, simple), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker29n}}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	pid := cmd.Process.Pid
	f := &snap.Container{Netns: fmt.Sprint("pid-", pid), PID: pid, SandboxKey: fmt.Sprintf("/proc/%d/ns/net", pid), Endpoints: []snap.Endpoint{{Link: "lo"}, {Link: "eth0"}}}
	name := fmt.Sprintf("pid:%d", pid)
	if _, err := h.Attach(ctx, name, testenv.AttachOptions{Network: "app", Foreign: f}); err != nil {
		t.Fatal(err)
	}
	in := fmt.Sprintf("nsenter -t %d -n ", pid)
	if out := sh(t, in+"ip -4 -br addr show eth1; "+in+"ping -c1 -W2 172.17.0.2"); !strings.Contains(out, "172.17.0.4/16") || !strings.Contains(out, "1 received") {
		t.Errorf("connected: %s", out)
	}
	if _, err := h.Detach(ctx, name, "app"); err != nil {
		t.Fatal(err)
	}
	if out := sh(t, in+"ip -br link"); strings.Contains(out, "eth1") {
		t.Errorf("disconnected: %s", out)
	}
	if _, err := h.Attach(ctx, name, testenv.AttachOptions{Network: "app", Foreign: f}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Down(ctx, false); err != nil { // with the process still connected
		t.Fatal(err)
	}
	if out := sh(t, in+"ip -br link"); strings.Contains(out, "eth1") {
		t.Errorf("after the teardown: %s", out)
	}
	if after := dump(t); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// readHere reads this host in this process.
func readHere(ctx context.Context) (*snap.Snapshot, error) {
	return inspect.Read(ctx, inspect.Options{Tool: "test"})
}

func nsOf(t *testing.T, h *testenv.Host, container string) (*netns.Handle, error) {
	t.Helper()
	st, err := h.Status()
	if err != nil {
		return nil, err
	}
	return netns.Open(st.Container(container).Ctr.SandboxKey)
}
