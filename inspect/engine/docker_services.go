package engine

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxSwarmNetworks bounds how many networks are asked for their services, one
// question each.
const maxSwarmNetworks = 256

// dockerServices is what a swarm's network says of itself when it is asked
// verbosely (moby daemon/cluster/convert/network.go, daemon/libnetwork/agent.go:
// Network.Services). What is no service's comes under the name "".
type dockerServices struct {
	Services map[string]struct {
		VIP   string // "<nil>" where names give the tasks' addresses
		Tasks []struct{ EndpointIP string }
	}
}

// swarmService is one service as only a manager tells it.
type swarmService struct {
	Spec     struct{ Name string }
	Endpoint struct {
		Ports []struct {
			Protocol      string
			TargetPort    uint16
			PublishedPort uint16
			PublishMode   string
		}
	}
}

// services reads what the swarm's services are on its networks: their virtual
// addresses, their tasks on all hosts, and, from a manager, the ports that every
// host publishes for them.
func (r *dockerRead) services(ctx context.Context, api *dockerapi.Client, manager bool) {
	var nets []*snap.Network
	for i := range r.res.Networks {
		if n := &r.res.Networks[i]; n.Scope == "swarm" && n.Driver == "overlay" && isNetworkID(n.ID) {
			nets = append(nets, n)
		}
	}
	if len(nets) == 0 {
		return
	}
	if len(nets) > maxSwarmNetworks {
		r.gap("docker services", fmt.Errorf("%d networks, of which %d were asked for their services: %w", len(nets), maxSwarmNetworks, snap.ErrLimit))
		nets = nets[:maxSwarmNetworks]
	}
	ctx, cancel := context.WithTimeout(ctx, r.m.deadline())
	defer cancel()
	var all []swarmService
	var wg sync.WaitGroup
	answers, errs := make([]dockerServices, len(nets)), make([]error, len(nets)+1)
	if manager {
		wg.Go(func() { errs[len(nets)] = api.Get(ctx, "/services", nil, &all) })
	}
	for i, n := range nets {
		wg.Go(func() { errs[i] = api.Get(ctx, "/networks/"+n.ID, url.Values{"verbose": {"true"}}, &answers[i]) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			r.gap("docker services", dockerapi.Kind(err))
			break
		}
	}
	for i, n := range nets {
		n.Services = answers[i].services()
		for j := range n.Services {
			n.Services[j].Ports = publishedBy(all, n, n.Services[j].Name)
		}
	}
}

// isNetworkID: swarm's are of its own kind, 25 letters and digits.
func isNetworkID(id string) bool {
	return len(id) == 25 && strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

func (d *dockerServices) services() []snap.Service {
	var out []snap.Service
	for name, v := range d.Services {
		if name == "" {
			continue
		}
		s := snap.Service{Name: name, VIP: addrOf(v.VIP), Tasks: []netip.Addr{}}
		for _, t := range v.Tasks {
			if a := addrOf(t.EndpointIP); a.IsValid() {
				s.Tasks = append(s.Tasks, a)
			}
		}
		snap.Sort(s.Tasks, netip.Addr.Compare)
		out = append(out, s)
	}
	snap.Sort(out, func(a, b snap.Service) int { return snap.CompareNames(a.Name, b.Name) })
	return out
}

// publishedBy are the ports that every host of the swarm publishes for a service
// through the ingress network.
func publishedBy(all []swarmService, n *snap.Network, service string) []snap.Port {
	var out []snap.Port
	for i := range all {
		s := &all[i]
		if s.Spec.Name != service || !n.Ingress {
			continue
		}
		for _, p := range s.Endpoint.Ports {
			if p.PublishMode == "ingress" && p.PublishedPort != 0 {
				out = append(out, snap.Port{Proto: snap.Proto(p.Protocol), HostIP: netip.IPv4Unspecified(), HostPort: p.PublishedPort, ContainerPort: p.TargetPort})
			}
		}
	}
	return out
}
