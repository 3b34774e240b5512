package engine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	pwebID = "00c728a34e2219d0506937d1543601330be06ce3e83654764950ebe75f8a92a1"
	pcliID = "02cb2d6e571816dd436dc9240364595b6015af92f91ba086d6e0bfc98489025e"
	pwebNS = "/run/netns/netns-8d69b546-0a2d-4f4a-6f68-3ea7e0ce2deb"
	podAt  = "/srv/pod/root"
)

// As Podman 4.3.1 writes them, less what is not read.
const (
	podWebConfig = `{"spec":{"hostname":"00c728a34e22","linux":{"sysctl":{"net.ipv4.ping_group_range":"0 0"},"namespaces":[{"type":"pid"},{"type":"network"}]}},` +
		`"id":"` + pwebID + `","name":"pweb","rootfsImageName":"localhost/lab:1","createNetNS":true,"networkMode":"bridge",` +
		`"newPortMappings":[{"host_ip":"","container_port":80,"host_port":8088,"range":2,"protocol":"tcp"}],"dnsServer":["192.0.2.53"],"hostsAdd":["nas:192.0.2.9"],"labels":{"io.podman.compose.project":"shop"}}`
	podWebState = `{"state":3,"pid":22750,"startedTime":"2026-11-23T23:51:14.017611648Z","finishedTime":"0001-01-01T00:00:00Z",` +
		`"networkStatus":{"podnet":{"interfaces":{"eth0":{"subnets":[{"ipnet":"10.89.7.2/24","gateway":"10.89.7.1"},{"ipnet":"2001:db8:7::2/64","gateway":"2001:db8:7::1"}],"mac_address":"46:d7:93:1a:29:25"}},"dns_server_ips":["10.89.7.1"]}},` +
		`"bindMounts":{"/etc/resolv.conf":"/srv/pod/run/overlay-containers/` + pwebID + `/userdata/resolv.conf","/etc/hosts":"/etc/shadow"}}`
	podCliConfig = `{"spec":{"linux":{"namespaces":[{"type":"pid"}]}},"id":"` + pcliID + `","name":"pcli","networkMode":"host","pause":true}`
	podCliState  = `{"state":6,"exitCode":1,"pid":0,"stoppedByUser":true,"finishedTime":"2026-11-23T23:52:00Z"}`
)

func putAll(b *bolt.Bucket, kv map[string]string) error {
	for k, v := range kv {
		if err := b.Put([]byte(k), []byte(v)); err != nil {
			return err
		}
	}
	return nil
}

// podHost is a host with a Podman store away from the default, one running and
// one exited container.
func podHost(t *testing.T) *fakeHost {
	t.Helper()
	return podHostAt(t, "/srv/pod/net", "/srv/pod/net")
}

// podHostAt has the networks' files in dir, of which Podman's own arguments say told.
func podHostAt(t *testing.T, told, dir string) *fakeHost {
	t.Helper()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: 22725, ppid: 1, comm: "conmon", args: []string{
		"/usr/bin/conmon", "--api-version", "1", "-c", pwebID, "-u", pwebID, "-n", "pweb",
		"--exit-command", "/usr/bin/podman", "--exit-command-arg", "--root", "--exit-command-arg", podAt, "--exit-command-arg", "--runroot", "--exit-command-arg", "/srv/pod/run",
		"--exit-command-arg", "--network-config-dir", "--exit-command-arg", told, "--exit-command-arg", "container", "--exit-command-arg", "cleanup",
	}})
	h.proc(fakeProc{pid: 22750, ppid: 22725, comm: "busybox", net: webNet, cgroup: "0::/libpod_parent/libpod-" + pwebID + "\n"})
	h.boltFile(podAt+"/libpod/bolt_state.db", func(tx *bolt.Tx) error {
		ctrs, err := tx.CreateBucket([]byte("ctr"))
		if err != nil {
			return err
		}
		web, err := ctrs.CreateBucket([]byte(pwebID))
		if err != nil {
			return err
		}
		if err := putAll(web, map[string]string{"config": podWebConfig, "state": podWebState, "netns": pwebNS}); err != nil {
			return err
		}
		nets, err := web.CreateBucket([]byte("networks"))
		if err != nil {
			return err
		}
		if err := putAll(nets, map[string]string{"podnet": `{"static_ips":["10.89.7.2"],"aliases":["00c728a34e22"],"interface_name":"eth0"}`}); err != nil {
			return err
		}
		cli, err := ctrs.CreateBucket([]byte(pcliID))
		if err != nil {
			return err
		}
		return putAll(cli, map[string]string{"config": podCliConfig, "state": podCliState})
	})
	h.file(dir+"/podnet.json", `{"name":"podnet","id":"b7fe506543e674c4598fbb713136425f86ad7a7713b584e2d5d3e611b47f569b","driver":"bridge","network_interface":"podman1",
		"created":"2026-11-23T23:51:13.659156352Z","subnets":[{"subnet":"10.89.7.0/24","gateway":"10.89.7.1"}],"dns_enabled":true,"options":{"mtu":"1400"}}`)
	return h
}

func TestPodmanIsReadFromItsDatabase(t *testing.T) {
	t.Parallel()
	h := podHost(t)
	h.file("/run/containers/networks/aardvark-dns/podnet", "10.89.7.1 192.0.2.53\n"+pwebID+" 10.89.7.2  pweb,00c728a34e22\n")
	o := h.options()
	o.Runtime = Podman
	got := Read(t.Context(), o)
	web := snap.Container{
		Ref: "podman:pweb", Engine: Podman, ID: pwebID, Name: "pweb", Image: "localhost/lab:1", State: "running",
		Started: timeOf("2026-11-23T23:51:14.017611648Z"), PID: 22750,
		Process: &snap.Process{PID: 22750, Name: "busybox", State: "S", Args: []string{""}}, SandboxKey: pwebNS, NetworkMode: "podnet", Hostname: "00c728a34e22",
		Endpoints: []snap.Endpoint{{
			Network: "podnet", NetworkID: "b7fe506543e674c4598fbb713136425f86ad7a7713b584e2d5d3e611b47f569b",
			IPv4: netip.MustParsePrefix("10.89.7.2/24"), Gateway4: netip.MustParseAddr("10.89.7.1"),
			IPv6: netip.MustParsePrefix("2001:db8:7::2/64"), Gateway6: netip.MustParseAddr("2001:db8:7::1"),
			MAC: "46:d7:93:1a:29:25", Aliases: []string{"00c728a34e22"}, DNSNames: []string{"pweb", "00c728a34e22"}, StaticIPv4: netip.MustParseAddr("10.89.7.2"),
		}},
		Ports: []snap.Port{
			{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: 8088, ContainerPort: 80},
			{Proto: snap.TCP, HostIP: netip.IPv6Unspecified(), HostPort: 8088, ContainerPort: 80},
			{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: 8089, ContainerPort: 81},
			{Proto: snap.TCP, HostIP: netip.IPv6Unspecified(), HostPort: 8089, ContainerPort: 81},
		},
		DNS: []string{"192.0.2.53"}, ExtraHosts: []string{"nas:192.0.2.9"}, Labels: map[string]string{"io.podman.compose.project": "shop"}, Project: "shop",
		Sysctls:        map[string]string{"net.ipv4.ping_group_range": "0 0"},
		ResolvConfPath: "/srv/pod/run/overlay-containers/" + pwebID + "/userdata/resolv.conf", // and no hosts: that path is not of this container
	}
	cli := snap.Container{
		Ref: "podman:pcli", Engine: Podman, ID: pcliID, Name: "pcli", State: "exited", ExitCode: 1, Stopped: true, Infra: true, NetworkMode: "host",
		Finished: timeOf("2026-11-23T23:52:00Z"), Endpoints: []snap.Endpoint{}, Ports: []snap.Port{},
	}
	if diff := cmp.Diff([]snap.Container{cli, web}, got.Containers, values); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	wantNet := []snap.Network{{
		Ref: "podman:podnet", Engine: Podman, ID: "b7fe506543e674c4598fbb713136425f86ad7a7713b584e2d5d3e611b47f569b", Name: "podnet", Driver: "bridge", Scope: "local",
		Pools:  []snap.Pool{{Subnet: netip.MustParsePrefix("10.89.7.0/24"), Gateway: netip.MustParseAddr("10.89.7.1")}},
		Bridge: "podman1", MTU: 1400, ICC: true, Masquerade: true, DNS: true, DNSServers: []netip.Addr{netip.MustParseAddr("10.89.7.1")}, DNSFile: "/run/containers/networks/aardvark-dns/podnet",
		Options: map[string]string{"mtu": "1400"}, Created: timeOf("2026-11-23T23:51:13.659156352Z"), File: "/srv/pod/net/podnet.json",
	}}
	if diff := cmp.Diff(wantNet, got.Networks, values); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	wantEngine := []snap.Engine{{Name: Podman, Reachable: true, IPTables: true, IP6Tables: true, IPForward: true, DataRoot: podAt, ExecRoot: "/srv/pod/run"}}
	if diff := cmp.Diff(wantEngine, got.Engines, values); diff != "" {
		t.Errorf("engines (-want +got):\n%s", diff)
	}
	if len(got.Gaps) != 0 {
		t.Errorf("gaps = %v", got.Gaps)
	}
}

func TestPodmanWithoutAReadableStoreKeepsItsProcesses(t *testing.T) {
	t.Parallel()
	h := podHost(t)
	h.file(podAt+"/libpod/bolt_state.db", "damaged")
	o := h.options()
	o.Runtime = Podman
	got := Read(t.Context(), o)
	if diff := cmp.Diff([]string{"podman: other"}, gapKinds(got.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pweb running pid=22750 ports=0"}, states(got.Containers)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

func TestThePodmansDefaultNetworkHasNoFile(t *testing.T) {
	t.Parallel()
	r := podmanRead{m: newMachine(Options{Root: newFakeHost(t).root})}
	list := []*snap.Container{{Endpoints: []snap.Endpoint{{Network: podDefault}}}}
	r.defaultNetwork(list, &podNetworks{})
	if len(r.res.Networks) != 1 || list[0].Endpoints[0].NetworkID != podDefaultID {
		t.Fatalf("networks = %+v", r.res.Networks)
	}
	if n := r.res.Networks[0]; n.Bridge != "podman0" || fmt.Sprint(n.Pools[0].Subnet) != "10.88.0.0/16" || n.DNS || !n.Default {
		t.Errorf("network = %+v", n)
	}
}

// TestPodmansNetworksLieWhereNobodySaidOtherwise: Podman hands an option that is not
// set on as an empty word.
func TestPodmansNetworksLieWhereNobodySaidOtherwise(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{podNetdir, podAt + "/networks"} { // root's, anybody's
		if dir == podNetdir && os.Getuid() != 0 {
			continue // the fake processes are this program's user's
		}
		o := podHostAt(t, "", dir).options()
		o.Runtime = Podman
		got := Read(t.Context(), o)
		if len(got.Networks) != 1 || got.Networks[0].File != dir+"/podnet.json" || len(got.Gaps) != 0 {
			t.Errorf("networks = %+v, gaps %v", got.Networks, got.Gaps)
		}
	}
}

func TestPodmanNetworkModes(t *testing.T) {
	t.Parallel()
	const own, joined = `"spec":{"linux":{"namespaces":[{"type":"network"}]}}`, `"spec":{"linux":{"namespaces":[{"type":"network","path":"/run/netns/blue"}]}}`
	for in, want := range map[string]string{
		`{"createNetNS":true,` + own + `,"networkMode":"bridge"}`:                               "bridge",
		`{"createNetNS":true,` + own + `,"networkMode":"bridge","newNetworks":{"podman":{}}}`:   "bridge",
		`{"createNetNS":true,` + own + `,"networkMode":"bridge","newNetworks":{"a":{}}}`:        "a",
		`{"createNetNS":true,` + own + `,"networkMode":"bridge","newNetworks":{"a":{},"b":{}}}`: "bridge",
		`{"createNetNS":true,` + own + `,"networkMode":"slirp4netns"}`:                          "slirp4netns",
		`{` + own + `,"networkMode":""}`:                                                        "none",
		`{` + joined + `}`:                                                                      "ns:/run/netns/blue",
		`{"spec":{"linux":{"namespaces":[{"type":"pid"}]}}}`:                                    "host",
		`{` + joined + `,"netNsCtr":"` + pwebID + `"}`:                                          "container:" + pwebID,
	} {
		var r podRecord
		if err := json.Unmarshal([]byte(in), &r.config); err != nil {
			t.Fatal(err)
		}
		if got := r.mode(); got != want {
			t.Errorf("mode of %s = %q, want %q", in, got, want)
		}
	}
}

func TestParseAardvark(t *testing.T) {
	t.Parallel()
	listen, names := parseAardvark("10.89.7.1,2001:db8:7::1 192.0.2.53\n" + pwebID + " 10.89.7.2 2001:db8:7::2 pweb,web 192.0.2.53\n" + pcliID + " 10.89.7.3  pcli\nnonsense\n")
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("10.89.7.1"), netip.MustParseAddr("2001:db8:7::1")}, listen, values); diff != "" {
		t.Errorf("listen (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]string{pwebID: {"pweb", "web"}, pcliID: {"pcli"}}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// The database has Podman 5's schema and was written by SQLite. Its column
// State says "configured" of every container, as Podman leaves it.
func TestPodmanIsReadFromSQLite(t *testing.T) {
	t.Parallel()
	h := podHost(t)
	if err := os.Remove(h.path(podAt + "/libpod/bolt_state.db")); err != nil {
		t.Fatal(err)
	}
	h.file(podAt+"/libpod/db.sql", string(readTestdata(t, "podman-5/db.sql")))
	o := h.options()
	o.Runtime = Podman
	got := Read(t.Context(), o)
	if diff := cmp.Diff([]string{"pcli exited pid=0 ports=0", "pweb running pid=22750 ports=1"}, states(got.Containers)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	if len(got.Gaps) != 0 {
		t.Errorf("gaps = %v", got.Gaps)
	}
	if w := got.Containers[1]; len(w.Endpoints) != 1 || w.Endpoints[0].IPv4 != netip.MustParsePrefix("10.89.7.2/24") || w.SandboxKey != pwebNS {
		t.Errorf("pweb = %+v", w)
	}
}
