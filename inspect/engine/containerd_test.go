package engine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	nerdID    = "1111111111111111111111111111111111111111111111111111111111111111"
	sandboxID = "2222222222222222222222222222222222222222222222222222222222222222"
	podCtrID  = "3333333333333333333333333333333333333333333333333333333333333333"
)

func (h *fakeHost) ociBundle(namespace, id, annotations, netns string) string {
	dir := "/run/containerd/io.containerd.runtime.v2.task/" + namespace + "/" + id
	ns := `{"type":"network"}`
	if netns != "" {
		ns = `{"type":"network","path":"` + netns + `"}`
	}
	h.file(dir+"/config.json", `{"hostname":"box","annotations":`+annotations+`,"mounts":[{"destination":"/etc/resolv.conf","source":"/var/lib/nerdctl/1935db59/containers/default/`+id+`/resolv.conf"},
		{"destination":"/etc/hosts","source":"/etc/../etc/shadow"}],"linux":{"namespaces":[{"type":"pid"},`+ns+`]}}`)
	return dir
}

func cniEntry(id, network, netns, addr, gw string) string {
	return fmt.Sprintf(`{"kind":"cniCacheV1","containerId":%q,"config":"e30=","ifName":"eth0","networkName":%q,"netns":%q,`+
		`"capabilityArgs":{"portMappings":[{"hostPort":8081,"containerPort":80,"protocol":"tcp","hostIP":""}]},`+
		`"result":{"cniVersion":"1.0.0","interfaces":[{"name":"br","mac":"aa:aa:aa:aa:aa:aa"},{"name":"eth0","mac":"be:ef:00:00:00:01","sandbox":%q}],"ips":[{"interface":1,"address":%q,"gateway":%q}],"dns":{"nameservers":["192.0.2.53"]}}}`,
		id, network, netns, netns, addr, gw)
}

const nerdConflist = `{"cniVersion":"1.0.0","name":"bridge","nerdctlID":"17f29b073143d8cd97b5bbe492bdeffec1c5fee55cc1fe2112c8b9335f8b6121","nerdctlLabels":{"nerdctl/default-network":"true"},
	"plugins":[{"type":"bridge","bridge":"nerdctl0","isGateway":true,"ipMasq":true,"hairpinMode":true,"ipam":{"type":"host-local","ranges":[[{"gateway":"10.4.0.1","subnet":"10.4.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap"}]}`

func TestContainerdIsReadFromShimsAndCNI(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: 700, ppid: 1, comm: "containerd"})
	h.container(900, 910, "default", nerdID, h.ociBundle("default", nerdID, `{"nerdctl/name":"shop","nerdctl/hostname":"shop1","nerdctl/networks":"[\"bridge\"]","com.docker.compose.service":"web"}`, ""), webNet)
	h.container(901, 911, "k8s.io", sandboxID, h.ociBundle("k8s.io", sandboxID, `{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-id":"`+sandboxID+`","io.kubernetes.cri.sandbox-name":"front","io.kubernetes.cri.sandbox-namespace":"prod"}`, "/var/run/netns/cni-1"), webNet+1)
	h.container(902, 912, "k8s.io", podCtrID, h.ociBundle("k8s.io", podCtrID, `{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-id":"`+sandboxID+`","io.kubernetes.cri.sandbox-name":"front","io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.container-name":"nginx"}`, "/proc/911/ns/net"), webNet+1)
	h.container(904, 914, "default", "k8.web-1", h.ociBundle("default", "k8.web-1", `{}`, ""), webNet+3) // as ctr takes it
	h.container(905, 915, "default", "k8..web", h.ociBundle("default", "k8..web", `{}`, ""), webNet+4)   // as it does not
	h.file(cniCache+"/bridge-default-k8.web-1-eth0", cniEntry("default-k8.web-1", "bridge", "/proc/914/ns/net", "10.4.0.3/24", "10.4.0.1"))
	h.container(903, 913, "moby", webID, "", webNet+2) // Docker's, not ours here
	h.file(cniCache+"/bridge-default-"+nerdID+"-eth0", cniEntry("default-"+nerdID, "bridge", "/proc/910/ns/net", "10.4.0.2/24", "10.4.0.1"))
	h.file(cniCache+"/k8s-"+sandboxID+"-eth0", cniEntry(sandboxID, "k8s-pod-network", "/var/run/netns/cni-1", "10.244.0.5/24", "10.244.0.1"))
	h.file(cniCache+"/damaged", "{")
	h.file(cniConf+"/default/nerdctl-bridge.conflist", nerdConflist)
	h.file(cniConf+"/99-loopback.conf", `{"cniVersion":"1.0.0","name":"lo","type":"loopback"}`)

	o := h.options()
	o.Runtime = Containerd
	got := Read(t.Context(), o)
	if diff := cmp.Diff([]string{"cni results: other"}, gapKinds(got.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	var lines []string
	for _, c := range got.Containers {
		e := ""
		for _, x := range c.Endpoints {
			e = fmt.Sprint(x.Network, " ", x.IPv4, " ", x.Gateway4, " ", x.MAC, " ", short(x.NetworkID))
		}
		lines = append(lines, fmt.Sprintf("%s %s pid=%d mode=%s host=%s ports=%d [%s]", c.Ref, c.State, c.PID, c.NetworkMode, c.Hostname, len(c.Ports), e))
	}
	want := []string{
		"containerd:k8.web-1 running pid=914 mode=bridge host=box ports=1 [bridge 10.4.0.3/24 10.4.0.1 be:ef:00:00:00:01 17f29b073143]",
		"containerd:prod/front running pid=911 mode=k8s-pod-network host=box ports=1 [k8s-pod-network 10.244.0.5/24 10.244.0.1 be:ef:00:00:00:01 ]",
		"containerd:prod/front/nginx running pid=912 mode=container:" + sandboxID + " host=box ports=0 []",
		"containerd:shop running pid=910 mode=bridge host=shop1 ports=1 [bridge 10.4.0.2/24 10.4.0.1 be:ef:00:00:00:01 17f29b073143]",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	if c := got.Containers[3]; !strings.HasSuffix(c.ResolvConfPath, nerdID+"/resolv.conf") || c.HostsPath != "" || c.Service != "web" {
		t.Errorf("paths %q %q, service %q", c.ResolvConfPath, c.HostsPath, c.Service)
	}
	wantNet := []snap.Network{{
		Ref: "containerd:bridge", Engine: Containerd, ID: "17f29b073143d8cd97b5bbe492bdeffec1c5fee55cc1fe2112c8b9335f8b6121", Name: "bridge", Driver: "bridge", Scope: "local",
		Pools:  []snap.Pool{{Subnet: netip.MustParsePrefix("10.4.0.0/24"), Gateway: netip.MustParseAddr("10.4.0.1")}},
		Bridge: "nerdctl0", ICC: true, Masquerade: true, Default: true, Labels: map[string]string{"nerdctl/default-network": "true"},
		File: "/etc/cni/net.d/default/nerdctl-bridge.conflist",
	}}
	if diff := cmp.Diff(wantNet, got.Networks, values); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
}

func TestCNIWithoutARuntime(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.file("/run/netns/blue", "")
	h.file("/run/netns/green", "")
	// As libcni wrote it before 1.3: the namespace is the sandbox of the result's interface.
	h.file(cniCache+"/net-cnitool-79-eth0", strings.Replace(cniEntry("cnitool-79", "net", "/run/netns/green", "10.5.0.4/24", "10.5.0.1"), `"netns":"/run/netns/green",`, "", 1))
	h.file(cniCache+"/net-cnitool-77-eth0", cniEntry("cnitool-77", "net", "/run/netns/blue", "10.5.0.2/24", "10.5.0.1"))
	h.file(cniCache+"/net-cnitool-78-eth0", cniEntry("cnitool-78", "net", "/run/netns/gone", "10.5.0.3/24", "10.5.0.1"))
	h.file(cniConf+"/10-net.conf", `{"cniVersion":"0.4.0","name":"net","type":"bridge","ipMasq":false,"mtu":1400,"ipam":{"type":"host-local","subnet":"10.5.0.0/24"}}`)
	o := h.options()
	o.Runtime = CNI
	got := Read(t.Context(), o)
	if diff := cmp.Diff([]string{"blue running pid=0 ports=1", "green running pid=0 ports=1"}, states(got.Containers)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	n := got.Networks[0]
	if n.Bridge != "cni0" || n.MTU != 1400 || n.Masquerade || !n.NoDefault || fmt.Sprint(n.Pools[0].Gateway, n.DNSServers) != "10.5.0.1 [192.0.2.53]" {
		t.Errorf("network = %+v", n)
	}
}

// TestHostLocalsLeases: its files are addresses, and so are the ends of its range; a host
// on which all attachments are gone still has them.
func TestHostLocalsLeases(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.file(cniConf+"/10-net.conflist", `{"name":"net","plugins":[{"type":"bridge","bridge":"cni7","ipam":{"type":"host-local","subnet":"10.5.0.0/24","rangeStart":"10.5.0.10","rangeEnd":"10.5.0.12","dataDir":"/srv/ipam"}}]}`)
	h.file(cniConf+"/20-idle.conf", `{"name":"idle","type":"bridge","ipam":{"type":"host-local","subnet":"10.6.0.0/24"}}`)
	h.file("/srv/ipam/net/10.5.0.11", "gone\r\neth0")
	h.file("/srv/ipam/net/10.5.0.10", "gone-too\r\neth0")
	h.file("/srv/ipam/net/last_reserved_ip.0", "10.5.0.11")
	h.file("/srv/ipam/net/lock", "")
	o := h.options()
	o.Runtime = CNI
	got := Read(t.Context(), o)
	if len(got.Networks) != 1 {
		t.Fatalf("networks = %+v", got.Networks)
	}
	n := got.Networks[0]
	want := []snap.Lease{{Addr: netip.MustParseAddr("10.5.0.10"), File: "/srv/ipam/net/10.5.0.10"}, {Addr: netip.MustParseAddr("10.5.0.11"), File: "/srv/ipam/net/10.5.0.11"}}
	if diff := cmp.Diff(want, n.Leases, values); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	if p := n.Pools[0]; p.Start.String() != "10.5.0.10" || p.End.String() != "10.5.0.12" {
		t.Errorf("pool = %+v", p)
	}
}

// TestAConfigurationAloneIsNoEngine: packages bring some.
func TestAConfigurationAloneIsNoEngine(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.file(cniConf+"/87-podman-bridge.conflist", `{"name":"podman","plugins":[{"type":"bridge","ipam":{"type":"host-local","subnet":"10.88.0.0/16"}}]}`)
	o := h.options()
	o.Runtime = CNI
	if got := Read(t.Context(), o); len(got.Networks)+len(got.Engines) > 0 {
		t.Errorf("networks %+v, engines %+v", got.Networks, got.Engines)
	}
}

// TestWhoGetsADefaultRouteByCNI: what is not told is taken for one that has it.
func TestWhoGetsADefaultRouteByCNI(t *testing.T) {
	t.Parallel()
	for conf, none := range map[string]bool{
		`{"type":"bridge","isGateway":true,"ipam":{"type":"host-local","subnet":"10.5.0.0/24"}}`:                                 true,
		`{"type":"bridge","isGateway":true,"ipam":{"type":"host-local","subnet":"10.5.0.0/24","routes":[{"dst":"10.0.0.0/8"}]}}`: true,
		`{"type":"bridge","isGateway":true,"ipam":{"type":"host-local","subnet":"10.5.0.0/24","routes":[{"dst":"0.0.0.0/0"}]}}`:  false,
		`{"type":"bridge","isGateway":true,"ipam":{"type":"host-local","subnet":"fd00::/64","routes":[{"dst":"::/0"}]}}`:         false,
		`{"type":"bridge","isDefaultGateway":true,"ipam":{"type":"host-local","subnet":"10.5.0.0/24"}}`:                          false,
		`{"type":"macvlan","ipam":{"type":"dhcp"}}`:                                                                              false,
		`{"type":"flannel","delegate":{"isDefaultGateway":true}}`:                                                                false,
	} {
		var p cniPlugin
		if err := json.Unmarshal([]byte(conf), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.noDefault(); got != none {
			t.Errorf("%s: no default route %v, want %v", conf, got, none)
		}
	}
}
