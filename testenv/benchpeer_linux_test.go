package testenv_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// peer is another program that attaches a namespace to a bridge with an address,
// a default route and masquerading.
type peer struct {
	name, path, bridge string
	// attach gives the command for the i-th namespace at a path.
	attach func(path string, i int) *exec.Cmd
}

// peers are those that are installed.
func peers() []peer {
	var out []peer
	for _, p := range []peer{
		{"netavark", "/usr/lib/podman/netavark", "bpodman0", netavark},
		{"cni", "/usr/lib/cni/bridge", "bcni0", cni},
	} {
		if _, err := os.Stat(p.path); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func netavark(path string, i int) *exec.Cmd {
	id := strings.Repeat("ab", 32)
	ctr := fmt.Sprintf("%064x", i+1)
	cmd := exec.Command("/usr/lib/podman/netavark", "--config", "/run/benchnv", "setup", path)
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`{"container_id": %q, "container_name": "c%d", "networks": {"app": {"static_ips": ["10.89.%d.%d"], "interface_name": "eth0"}},
"network_info": {"app": {"name": "app", "id": %q, "driver": "bridge", "network_interface": "bpodman0", "subnets": [{"subnet": "10.89.0.0/16", "gateway": "10.89.0.1"}],
"ipv6_enabled": false, "internal": false, "dns_enabled": false, "ipam_options": {"driver": "host-local"}}}}`, ctr, i, (i+2)>>8, (i+2)&255, id))
	return cmd
}

func cni(path string, i int) *exec.Cmd {
	cmd := exec.Command("/usr/lib/cni/bridge")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=ADD", fmt.Sprintf("CNI_CONTAINERID=c%d", i), "CNI_NETNS=" + path, "CNI_IFNAME=eth0", "CNI_PATH=/usr/lib/cni"}
	cmd.Stdin = strings.NewReader(`{"cniVersion": "0.4.0", "name": "app", "type": "bridge", "bridge": "bcni0", "isGateway": true, "ipMasq": true,
"ipam": {"type": "host-local", "dataDir": "/run/benchcni", "ranges": [[{"subnet": "10.90.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}`)
	return cmd
}

// attachPeer makes namespaces and has the peer attach each; what it left is taken
// away off the clock.
func attachPeer(b *testing.B, p peer, n int) time.Duration {
	b.Helper()
	must(b, os.MkdirAll("/run/benchpeer", 0o755))
	must(b, os.MkdirAll("/run/benchnv", 0o755))
	start := time.Now()
	for i := range n {
		path := fmt.Sprintf("/run/benchpeer/%d", i)
		bindNetns(b, path)
		var out bytes.Buffer
		cmd := p.attach(path, i)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s: %v: %s", p.name, err, out.String())
		}
	}
	took := time.Since(start)
	for i := range n {
		path := fmt.Sprintf("/run/benchpeer/%d", i)
		must(b, unix.Unmount(path, unix.MNT_DETACH))
		must(b, os.Remove(path))
	}
	if l, err := netlink.LinkByName(p.bridge); err == nil {
		must(b, netlink.LinkDel(l))
	}
	settled(b)
	quiet(b)
	sh(b, "nft flush ruleset; rm -rf /run/benchcni /run/benchnv")
	return took
}
