package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// State is the file by which the engine reader knows the lab: the same shapes
// as in a snapshot, without what the kernel tells.
type State struct {
	Engine     snap.Engine      `json:"engine"`
	Containers []snap.Container `json:"containers"`
	Networks   []snap.Network   `json:"networks"`
}

// record writes the lab's state.
func (l *Lab) record() error {
	st := State{Engine: snap.Engine{Name: Engine, Version: "1", Reachable: true, Rules: "netdoctor", PID: os.Getpid()}}
	for _, n := range l.Spec.Networks {
		st.Networks = append(st.Networks, snap.Network{
			Ref: Engine + ":" + n.Name, Engine: Engine, ID: "net-" + n.Name, Name: n.Name, Driver: "bridge", Bridge: n.Bridge,
			Pools: []snap.Pool{{Subnet: n.Subnet, Gateway: n.Gateway}}, ICC: true, Masquerade: true, DNS: true, DNSServers: []netip.Addr{n.Gateway},
		})
	}
	for _, c := range l.Spec.Containers {
		n := l.Spec.network(c.Network)
		p := l.procs[c.Name]
		dir := filepath.Join(RunDir, "containers", "ctr-"+c.Name)
		st.Containers = append(st.Containers, snap.Container{
			Ref: Engine + ":" + c.Name, Engine: Engine, ID: "ctr-" + c.Name, Name: c.Name, State: "running", PID: p.pid, NetworkMode: c.Network,
			Endpoints: []snap.Endpoint{{
				Network: c.Network, NetworkID: "net-" + c.Network, IPv4: netip.PrefixFrom(c.Addr, n.Subnet.Bits()), Gateway4: n.Gateway, DNSNames: []string{c.Name},
			}},
			Ports: c.Publish, ResolvConfPath: filepath.Join(dir, "resolv.conf"), HostsPath: filepath.Join(dir, "hosts"),
		})
	}
	b, err := json.MarshalIndent(st, "", " ")
	if err != nil {
		return fmt.Errorf("writing the lab's state: %w", err)
	}
	if err := os.WriteFile(filepath.Join(RunDir, "self.json"), b, 0o600); err != nil {
		return fmt.Errorf("writing the lab's state: %w", err)
	}
	return nil
}
