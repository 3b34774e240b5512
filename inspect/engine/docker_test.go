package engine

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

var values = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// serve answers on the default docker socket of the host.
func (h *fakeHost) serve(handler http.Handler) {
	h.t.Helper()
	path := h.path("/var/run/docker.sock")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		h.t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
	s.Start()
	h.t.Cleanup(s.Close)
}

// docker2010 answers as Docker 20.10 did when it was recorded. Only GETs and
// the greeting's HEAD are answered.
func docker2010(t *testing.T) *http.ServeMux {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Api-Version", "1.41")
		fmt.Fprint(w, "OK")
	})
	for path, file := range map[string]string{
		"GET /v1.41/info": "info", "GET /v1.41/version": "version", "GET /v1.41/networks": "networks", "GET /v1.41/containers/json": "containers",
		"GET /v1.41/containers/" + webID + "/json": "web", "GET /v1.41/containers/" + plainID + "/json": "plain",
	} {
		b := readTestdata(t, "docker-20.10/"+file+".json")
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
	}
	return mux
}

const (
	webPID   = 16365
	plainPID = 16645
)

// dockerHost is a host with dockerd and the two recorded containers.
func dockerHost(t *testing.T) *fakeHost {
	t.Helper()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: 800, ppid: 1, comm: "dockerd", args: []string{"dockerd", "-H", "fd://", "--userland-proxy=false", "--dns", "192.0.2.53"}})
	h.file("/etc/docker/daemon.json", `{"ip6tables": true, "ip-forward": false, "hosts": "fd://"}`)
	h.container(900, webPID, "moby", webID, "", webNet)
	h.container(901, plainPID, "moby", plainID, "", webNet+1)
	return h
}

func TestReadsDocker2010(t *testing.T) {
	t.Parallel()
	h := dockerHost(t)
	h.serve(docker2010(t))
	got := Read(t.Context(), h.options())
	if diff := cmp.Diff([]string{}, gapKinds(got.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	wantEngine := []snap.Engine{{
		Name: Docker, Version: "20.10.24+dfsg1", API: "1.41", Endpoint: "unix:///var/run/docker.sock", Reachable: true, PID: 800,
		Rules: "docker-20", IPTables: true, IP6Tables: true, LiveRestore: true, DataRoot: "/var/lib/docker", ExecRoot: "/var/run/docker",
		ConfigFile: "/etc/docker/daemon.json", DNS: []string{"192.0.2.53"}, Hosts: []string{"fd://", "fd://"},
		Pools: []netip.Prefix{netip.MustParsePrefix("172.31.0.0/16")}, PoolSizes: []int{18},
		Proxies: []snap.Proxy{{By: "HTTP_PROXY", Host: "proxy.corp.example", Port: 3128}},
	}}
	if diff := cmp.Diff(wantEngine, got.Engines, values); diff != "" {
		t.Errorf("engine (-want +got):\n%s", diff)
	}
	dir := "/var/lib/docker/containers/" + webID
	wantWeb := snap.Container{
		Ref: "docker:web", Engine: Docker, ID: webID, Name: "web", Image: "lab:1", State: "running", RestartPolicy: "no",
		Started: time.Date(2026, 11, 23, 23, 45, 11, 944115119, time.UTC), PID: webPID,
		Process:    &snap.Process{PID: webPID, Name: "httpd", State: "S", Args: []string{"httpd", "-f"}},
		SandboxKey: "/var/run/docker/netns/113b6d6c5f48", NetworkMode: "app", Hostname: "4eb6491fce70",
		Endpoints: []snap.Endpoint{{
			Network: "app", NetworkID: "6f7f2b73ff12ced246ee4b5162aadfe55c206d7f41534afd412fae80a5dd132a",
			ID:   "91f685841f1977f4c00c4ccfda0c2d235f290142fe5fa418dcff28c891d1a6c4",
			IPv4: netip.MustParsePrefix("172.30.1.12/24"), Gateway4: netip.MustParseAddr("172.30.1.1"), MAC: "02:42:ac:1e:01:0c",
			Aliases: []string{"4eb6491fce70"}, StaticIPv4: netip.MustParseAddr("172.30.1.12"),
		}},
		Ports: []snap.Port{
			{Proto: snap.TCP, HostIP: netip.MustParseAddr("0.0.0.0"), HostPort: 8080, ContainerPort: 80},
			{Proto: snap.TCP, HostIP: netip.MustParseAddr("::"), HostPort: 8080, ContainerPort: 80},
		},
		Exposed: []snap.PortProto{{Proto: snap.TCP, Port: 80}}, ArgPorts: []uint16{80}, Labels: map[string]string{"lab": "1"},
		ResolvConfPath: dir + "/resolv.conf", HostsPath: dir + "/hosts", HostnamePath: dir + "/hostname",
	}
	if len(got.Containers) != 2 {
		t.Fatalf("%d containers, want plain and web", len(got.Containers))
	}
	if diff := cmp.Diff(wantWeb, got.Containers[1], values, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("web (-want +got):\n%s", diff)
	}
	if c := got.Containers[0]; c.Name != "plain" || c.NetworkMode != "bridge" || c.PID != plainPID {
		t.Errorf("plain = %+v", c)
	}
	var nets []string
	for _, n := range got.Networks {
		nets = append(nets, fmt.Sprint(n.Name, " ", n.Driver, " ", n.Bridge, " default=", n.Default, " dns=", n.DNS, " masq=", n.Masquerade, " icc=", n.ICC, " ", n.Pools))
	}
	want := []string{
		"app bridge br-app default=false dns=true masq=true icc=true [{172.30.1.0/24 invalid Prefix 172.30.1.1 invalid IP invalid IP map[]}]",
		"bridge bridge docker0 default=true dns=false masq=true icc=true [{172.17.0.0/16 invalid Prefix 172.17.0.1 invalid IP invalid IP map[]}]",
		"host host  default=false dns=false masq=false icc=true []",
		"none null  default=false dns=false masq=false icc=true []",
		"other bridge br-other default=false dns=true masq=true icc=true [{172.30.2.0/24 invalid Prefix 172.30.2.1 invalid IP invalid IP map[]}]",
	}
	if diff := cmp.Diff(want, nets); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
}

// with answers one path in its own way, and the rest as recorded.
func with(t *testing.T, path string, h http.HandlerFunc) http.Handler {
	t.Helper()
	mux := docker2010(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path || path == "*" {
			h(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func TestBadEnginesCostADeadlineAndAGap(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	text := func(code int, s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, s)
		}
	}
	huge := func(w http.ResponseWriter, _ *http.Request) {
		b := []byte(`["` + strings.Repeat("x", 1<<20))
		for range dockerapi.MaxAnswer>>20 + 2 {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}
	const list = "/v1.41/containers/json"
	tests := []struct {
		name, path string
		handler    http.HandlerFunc
		gaps       []string
		offline    bool
		why        string
	}{
		{"hangs from the start", "*", hang, []string{"docker: timeout"}, true, "does not answer"},
		{"greets and then hangs", list, hang, []string{"docker: timeout"}, true, "does not answer"},
		{"answers 500", list, text(500, `{"message":"boom"}`), []string{"docker: other"}, true, "boom"},
		{"answers garbage", list, text(200, "hello"), []string{"docker: other"}, true, "not what an engine says"},
		{"answers another type", list, text(200, `{"Id":7}`), []string{"docker: other"}, true, "not what an engine says"},
		{"answers without an end", list, huge, []string{"docker: limit"}, true, "larger than"},
		{"redirects", list, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/x", http.StatusFound)
		}, []string{"docker: other"}, true, "redirect"},
		{"has no networks", "/v1.41/networks", text(500, ""), []string{"docker networks: other"}, false, ""},
		{"has no information", "/v1.41/info", text(200, "["), []string{"docker info: other"}, false, ""},
		{"hangs at one container", "/v1.41/containers/" + webID + "/json", hang, []string{"docker containers: timeout"}, false, ""},
		{"forgets one container", "/v1.41/containers/" + webID + "/json", text(404, ""), []string{}, false, ""},
		{"mixes containers up", "/v1.41/containers/" + webID + "/json", text(200, `{"Id":"`+plainID+`"}`), []string{"docker containers: unsupported"}, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := dockerHost(t)
			h.serve(with(t, tt.path, tt.handler))
			o := h.options()
			o.Deadline = 300 * time.Millisecond
			if tt.name == "answers without an end" {
				o.Deadline = 20 * time.Second // the size is to end it, not the time
			}
			start := time.Now()
			got := Read(t.Context(), o)
			if d := time.Since(start); d > 2*o.Deadline+5*time.Second {
				t.Errorf("took %v", d)
			}
			// The offline half has gaps of its own: this host has no files.
			var gaps []string
			for _, g := range got.Gaps {
				if !strings.Contains(g.Why, "in files that can't be read") {
					gaps = append(gaps, g.What+": "+g.Kind)
				}
			}
			if diff := cmp.Diff(tt.gaps, gaps, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("gaps (-want +got):\n%s\n%v", diff, got.Gaps)
			}
			e := got.Engines[0]
			if e.Offline != tt.offline || e.Reachable == tt.offline || !strings.Contains(e.Error, tt.why) || (e.Error == "") != (tt.why == "") {
				t.Errorf("engine offline=%v reachable=%v error=%q", e.Offline, e.Reachable, e.Error)
			}
			if tt.offline && len(got.Containers) != 2 {
				t.Errorf("%d containers, want the two that the kernel has", len(got.Containers))
			}
		})
	}
}

func TestNobodyAtTheSocket(t *testing.T) {
	t.Parallel()
	stale := func(h *fakeHost) { // a socket file whose listener is gone
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path("/run/x.sock"), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()
	}
	tests := []struct {
		name   string
		host   string
		setup  func(*fakeHost)
		gaps   []string
		reason string
	}{
		{"nobody asked and nothing is there", "", nil, []string{}, ""},
		{"the named socket is missing", "unix:///run/x.sock", nil, []string{"docker: not-found"}, "dockerd is not running: nothing listens on /run/x.sock"},
		{"the named socket is stale", "unix:///run/x.sock", stale, []string{"docker: not-found"}, "dockerd is not running: nothing listens on /run/x.sock"},
		{"the named socket is not the daemon's", "unix:///run/x.sock", func(h *fakeHost) {
			h.proc(fakeProc{pid: 800, ppid: 1, comm: "dockerd", args: []string{"dockerd", "-H", "unix:///run/docker.sock"}})
		}, []string{"docker: not-found"}, "nothing listens on /run/x.sock, which is no address of dockerd (pid 800)"},
		{"another machine is not asked", "tcp://192.0.2.1:2376", nil, []string{"docker: unsupported"}, "another machine"},
		{"another machine by ssh", "ssh://me@example.org", nil, []string{"docker: unsupported"}, "another machine"},
		{"no address at all", "nonsense", nil, []string{"docker: unsupported"}, "is no address"},
		{"an option instead of a path", "unix://-x", nil, []string{"docker: unsupported"}, "no absolute path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHost(t)
			if err := os.MkdirAll(h.path("/run"), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.setup != nil {
				tt.setup(h)
			}
			o := h.options()
			o.DockerHost = tt.host
			got := Read(t.Context(), o)
			if diff := cmp.Diff(tt.gaps, gapKinds(got.Gaps)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if (len(got.Engines) == 0) != (tt.reason == "") || len(got.Engines) > 0 && !strings.Contains(got.Engines[0].Error, tt.reason) {
				t.Errorf("engines = %+v, want %q", got.Engines, tt.reason)
			}
		})
	}
}

func TestPidsAreCheckedAgainstTheKernel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		setup func(*fakeHost)
		gap   string
		pid   int
	}{
		{"in its control group", func(h *fakeHost) {
			h.proc(fakeProc{pid: webPID, comm: "x", net: webNet, cgroup: "0::/system.slice/docker-" + webID + ".scope\n"})
		}, "", webPID},
		{"by its mounts where the group was chosen", func(h *fakeHost) {
			h.proc(fakeProc{pid: webPID, comm: "x", net: webNet, cgroup: "0::/mine\n", mountinfo: "459 442 254:0 /docker/containers/" + webID + "/hosts /etc/hosts rw - ext4 /dev/vda rw\n"})
		}, "", webPID},
		{"of somebody else", func(h *fakeHost) { h.proc(fakeProc{pid: webPID, comm: "x", net: webNet, cgroup: "0::/user.slice\n"}) }, "container web: unsupported", 0},
		{"in the host's namespace", func(h *fakeHost) { h.proc(fakeProc{pid: webPID, comm: "x", cgroup: "0::/docker/" + webID + "\n"}) }, "container web: unsupported", 0},
		{"not to be seen", func(*fakeHost) {}, "container web: not-found", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHost(t)
			h.proc(fakeProc{pid: 800, ppid: 1, comm: "dockerd", args: []string{"dockerd"}})
			h.proc(fakeProc{pid: plainPID, comm: "x", net: webNet + 1, cgroup: "0::/docker/" + plainID + "\n"})
			tt.setup(h)
			h.serve(docker2010(t))
			got := Read(t.Context(), h.options())
			want := []string{}
			if tt.gap != "" {
				want = append(want, tt.gap)
			}
			if diff := cmp.Diff(want, gapKinds(got.Gaps)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if c := got.Containers[1]; c.PID != tt.pid || (c.Process != nil) != (tt.pid != 0) {
				t.Errorf("pid = %d, process %v, want %d", c.PID, c.Process, tt.pid)
			}
		})
	}
}

func TestCancelledReadingEnds(t *testing.T) {
	t.Parallel()
	h := dockerHost(t)
	h.serve(with(t, "*", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	o := h.options()
	o.Deadline = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if got := Read(ctx, o); len(got.Gaps) == 0 || time.Since(start) > 10*time.Second {
		t.Errorf("took %v, gaps %v", time.Since(start), got.Gaps)
	}
}

// An engine on TCP at an address of this machine is here when its containers are.
func TestLoopbackTCPIsHere(t *testing.T) {
	t.Parallel()
	h := dockerHost(t)
	s := httptest.NewServer(docker2010(t))
	t.Cleanup(s.Close)
	o := h.options()
	o.DockerHost = strings.Replace(s.URL, "http://", "tcp://", 1)
	got := Read(t.Context(), o)
	if e := got.Engines[0]; !e.Reachable || e.Remote || len(got.Containers) != 2 || got.Containers[1].PID != webPID {
		t.Errorf("engine = %+v, containers %v, gaps %v", e, states(got.Containers), got.Gaps)
	}
}

// A container that ended between the answer and the look at its process.
func TestAContainerThatEndedMeanwhileIsAskedAgain(t *testing.T) {
	t.Parallel()
	h := dockerHost(t)
	if err := os.RemoveAll(h.path(fmt.Sprint("/proc/", webPID))); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	web := string(readTestdata(t, "docker-20.10/web.json"))
	h.serve(with(t, "/v1.41/containers/"+webID+"/json", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > 1 {
			web := strings.Replace(web, `"Status": "running"`, `"Status": "exited"`, 1)
			fmt.Fprint(w, strings.Replace(web, fmt.Sprint(`"Pid": `, webPID), `"Pid": 0`, 1))
			return
		}
		fmt.Fprint(w, web)
	}))
	got := Read(t.Context(), h.options())
	if c := got.Containers[1]; c.State != "exited" || c.PID != 0 || len(got.Gaps) != 0 {
		t.Errorf("web is %s with pid %d, gaps %v", c.State, c.PID, got.Gaps)
	}
}
