package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	appID  = "6f7f2b73ff12ced246ee4b5162aadfe55c206d7f41534afd412fae80a5dd132a"
	webEP  = "91f685841f1977f4c00c4ccfda0c2d235f290142fe5fa418dcff28c891d1a6c4"
	goneID = "aaaa491fce70184b2b6909dae252b84adf9f6f0e742a1de378090fe5b834dd49"
	dataAt = "/srv/docker"
)

// storedWeb writes the files that dockerd keeps of web, as 20.10 has them: the
// object of the API without its state in words, and the host configuration apart.
func (h *fakeHost) storedWeb(id, name string, state map[string]any) {
	h.t.Helper()
	var o map[string]any
	if err := json.Unmarshal(readTestdata(h.t, "docker-20.10/web.json"), &o); err != nil {
		h.t.Fatal(err)
	}
	dir := dataAt + "/containers/" + id
	hostConfig, err := json.Marshal(o["HostConfig"])
	if err != nil {
		h.t.Fatal(err)
	}
	delete(o, "HostConfig")
	delete(o, "Id")
	o["ID"], o["Name"] = id, "/"+name
	s := map[string]any{"StartedAt": "2026-11-23T23:45:11.944115119Z"}
	maps.Copy(s, state)
	o["State"] = s
	for _, f := range []string{"resolv.conf", "hosts", "hostname"} {
		o[map[string]string{"resolv.conf": "ResolvConfPath", "hosts": "HostsPath", "hostname": "HostnamePath"}[f]] = dir + "/" + f
	}
	conf, err := json.Marshal(o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.file(dir+"/config.v2.json", string(conf))
	h.file(dir+"/hostconfig.json", string(hostConfig))
}

// boltFile writes a database of one path of buckets.
func (h *fakeHost) boltFile(path string, fill func(*bolt.Tx) error) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.path(path)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	db, err := bolt.Open(h.path(path), 0o600, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := db.Update(fill); err != nil {
		h.t.Fatal(err)
	}
	// Left open, and so locked, as by a daemon that is stopped.
	h.t.Cleanup(func() { _ = db.Close() })
}

// store writes libnetwork's database as 20.10 has it.
func (h *fakeHost) store() {
	index := strings.Repeat("\x00", storeIndex)
	h.boltFile(dataAt+"/"+networkStore, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte(networkBucket))
		if err != nil {
			return err
		}
		for k, v := range map[string]string{
			networkKeys + appID + "/": `{"id":"` + appID + `","name":"app","networkType":"bridge","scope":"local","created":"2026-11-23T23:45:10.425420143Z",` +
				`"generic":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":{"com.docker.network.bridge.name":"br-app"}},` +
				`"ipamV4Config":"[{\"PreferredPool\":\"172.30.1.0/24\",\"SubPool\":\"172.30.1.128/25\",\"Gateway\":\"172.30.1.1\",\"AuxAddresses\":{\"nas\":\"172.30.1.9\"}}]",` +
				`"ipamV4Info":"[{\"IPAMData\":\"{\\\"AddressSpace\\\":\\\"LocalDefault\\\",\\\"Gateway\\\":\\\"172.30.1.1/24\\\",\\\"Pool\\\":\\\"172.30.1.0/24\\\"}\",\"PoolID\":\"LocalDefault/172.30.1.0/24\"}]"}`,
			networkKeys + goneID + "/":               `{"id":"` + goneID + `","name":"going","networkType":"bridge","inDelete":true}`,
			endpointKeys + appID + "/" + webEP + "/": `{"id":"` + webEP + `","name":"web","anonymous":false,"myAliases":["www","4eb6491fce70"]}`,
			"docker/network/v1.0/endpoint_count/x/":  `{"Count":3}`,
			"docker/network/v1.0/network/bad/":       `not json`,
			"short":                                  ``,
		} {
			if err := b.Put([]byte(k), []byte(index+v)); err != nil {
				return err
			}
		}
		return nil
	})
}

// bundle writes the OCI bundle that dockerd handed to the shim.
func (h *fakeHost) bundle(id string) string {
	dir := "/run/docker/task/moby/" + id
	h.file(dir+"/config.json", `{"hostname":"x","mounts":[{"destination":"/etc/resolv.conf","source":"`+dataAt+`/containers/`+id+`/resolv.conf"}],"linux":{"namespaces":[{"type":"network"}]}}`)
	return dir
}

// deadDocker is a host whose containers outlived dockerd: web runs, gone is
// called running and has no process, old has exited.
func deadDocker(t *testing.T) *fakeHost {
	t.Helper()
	h := newFakeHost(t)
	h.container(900, webPID, "moby", webID, h.bundle(webID), webNet)
	h.file(h.bundle(webID)+"/init.pid", fmt.Sprint(webPID))
	h.storedWeb(webID, "web", map[string]any{"Running": true, "Pid": 4711}) // a pid of before a restart
	h.storedWeb(goneID, "gone", map[string]any{"Running": true, "Pid": 4712})
	h.storedWeb(plainID, "old", map[string]any{"ExitCode": 137, "OOMKilled": true, "FinishedAt": "2026-11-23T23:50:00Z"})
	return h
}

func states(list []snap.Container) []string {
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprintf("%s %s pid=%d ports=%d", c.Name, c.State, c.PID, len(c.Ports)))
	}
	return out
}

func TestContainersOfADeadDockerdAreReadFromItsFiles(t *testing.T) {
	t.Parallel()
	h := deadDocker(t)
	h.store()
	got := Read(t.Context(), h.options())
	if diff := cmp.Diff([]string{"docker: not-found"}, gapKinds(got.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	want := snap.Engine{
		Name: Docker, Endpoint: dockerDefault, Offline: true, Error: "dockerd is not running: nothing listens on /var/run/docker.sock",
		IPTables: true, IPForward: true, UserlandProxy: true, DataRoot: dataAt, ExecRoot: "/var/run/docker",
	}
	if diff := cmp.Diff([]snap.Engine{want}, got.Engines, values); diff != "" {
		t.Errorf("engine (-want +got):\n%s", diff)
	}
	wantStates := []string{"gone vanished pid=0 ports=2", "old exited pid=0 ports=1", fmt.Sprintf("web running pid=%d ports=2", webPID)}
	if diff := cmp.Diff(wantStates, states(got.Containers)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	web := got.Containers[2]
	if diff := cmp.Diff([]string{"web", "www", "4eb6491fce70"}, web.Endpoints[0].DNSNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if web.ResolvConfPath != dataAt+"/containers/"+webID+"/resolv.conf" || web.NetworkMode != "app" {
		t.Errorf("resolv.conf %q, mode %q", web.ResolvConfPath, web.NetworkMode)
	}
	if len(got.Networks) != 1 {
		t.Fatalf("networks = %+v, want app alone", got.Networks)
	}
	n := got.Networks[0]
	if fmt.Sprint(n.Name, n.Bridge, n.Pools) != "appbr-app[{172.30.1.0/24 172.30.1.128/25 172.30.1.1 invalid IP invalid IP map[nas:172.30.1.9]}]" || !n.DNS || !n.Masquerade {
		t.Errorf("network = %+v", n)
	}
}

// TestWhyADeadDockerdDoesNotStart: what its configuration alone tells of that.
func TestWhyADeadDockerdDoesNotStart(t *testing.T) {
	t.Parallel()
	const dead = "dockerd is not running: nothing listens on /var/run/docker.sock"
	for conf, want := range map[string]string{
		`{"live-restore": true}`: dead,
		`{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"]}`: dead + ", and it can't start if its unit has -H, as docker.service has: /etc/docker/daemon.json has hosts, too",
		`{"iptables": false,}`: dead + ", and it can't start: /etc/docker/daemon.json is no JSON (",
	} {
		h := deadDocker(t)
		h.file("/etc/docker/daemon.json", conf)
		got := Read(t.Context(), h.options()).Engines[0].Error
		if rest, ok := strings.CutPrefix(got, want); !ok || rest != "" && !strings.HasSuffix(want, "(") {
			t.Errorf("%s\n %q, want %q", conf, got, want)
		}
	}
}

func TestWithoutTheStoreNetworksComeFromTheEndpoints(t *testing.T) {
	t.Parallel()
	h := deadDocker(t)
	got := Read(t.Context(), h.options())
	if diff := cmp.Diff([]string{"docker: not-found", "docker networks: not-found"}, gapKinds(got.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if len(got.Networks) != 1 || got.Networks[0].Name != "app" || got.Networks[0].Driver != "" || fmt.Sprint(got.Networks[0].Pools[0].Subnet) != "172.30.1.0/24" {
		t.Errorf("networks = %+v, want app with its pool and without a driver", got.Networks)
	}
}

func TestAStoppedDockerdIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := deadDocker(t)
	h.store()
	h.proc(fakeProc{pid: 800, ppid: 1, comm: "dockerd", state: "T", args: []string{"dockerd", "--data-root", dataAt, "-H", "unix:///var/run/docker.sock"}})
	got := Read(t.Context(), h.options())
	if e := got.Engines[0]; !e.Offline || e.PID != 800 || !strings.Contains(e.Error, "dockerd (pid 800) is stopped") {
		t.Errorf("engine = %+v", e)
	}
	if g := got.Gaps[0]; g.Needs != "kill -CONT 800" || g.Kind != "timeout" {
		t.Errorf("gap = %+v", g)
	}
	if len(got.Containers) != 3 || len(got.Networks) != 1 {
		t.Errorf("%d containers, %d networks", len(got.Containers), len(got.Networks))
	}
}

func TestTheDataRootIsFoundByMountsWithoutABundle(t *testing.T) {
	t.Parallel()
	h := deadDocker(t)
	h.store()
	if err := os.RemoveAll(h.path("/proc/900/cwd")); err != nil {
		t.Fatal(err)
	}
	// /srv is a file system of its own: the mount's root is a path within it.
	h.file(fmt.Sprintf("/proc/%d/mountinfo", webPID), "1 0 0:99 / / rw - overlay overlay rw\n2 1 8:1 /docker/containers/"+webID+"/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n")
	h.file("/proc/thread-self/mountinfo", "1 0 8:0 / / rw - ext4 /dev/sda rw\n2 1 8:1 / /srv rw - ext4 /dev/sda1 rw\n")
	got := Read(t.Context(), h.options())
	if len(got.Containers) != 3 || got.Engines[0].DataRoot != dataAt {
		t.Errorf("data root %q, containers %v", got.Engines[0].DataRoot, states(got.Containers))
	}
}

// A container with capabilities may mount a directory of its own file system,
// made up to look like dockerd's, over its resolv.conf.
func TestADataRootOutOfTheContainerIsNotTaken(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.container(900, webPID, "moby", webID, "", webNet)
	h.storedWeb(webID, "liar", map[string]any{"Running": true})
	h.file(fmt.Sprintf("/proc/%d/mountinfo", webPID), "1 0 0:99 / / rw - overlay overlay rw\n2 1 0:99 "+dataAt+"/containers/"+webID+"/resolv.conf /etc/resolv.conf rw - overlay overlay rw\n")
	h.file("/proc/thread-self/mountinfo", "1 0 0:99 / / rw - overlay overlay rw\n")
	got := Read(t.Context(), h.options())
	if diff := cmp.Diff([]string{fmt.Sprintf("4eb6491fce70 running pid=%d ports=0", webPID)}, states(got.Containers)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

func TestShimsOfOthersAreNotOurs(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.container(900, webPID, "moby", webID, "", webNet)
	// Docker in a container: its shims live in that container's namespace.
	h.proc(fakeProc{pid: 950, ppid: 1, comm: "containerd-shim", net: webNet, args: []string{"shim", "-namespace", "moby", "-id", plainID}})
	h.proc(fakeProc{pid: 951, ppid: 950, comm: "x", net: webNet + 1, cgroup: "0::/docker/" + webID + "/docker/" + plainID + "\n"})
	got := Read(t.Context(), h.options())
	if len(got.Containers) != 1 || got.Containers[0].ID != webID {
		t.Errorf("containers = %v, want web alone", states(got.Containers))
	}
}
