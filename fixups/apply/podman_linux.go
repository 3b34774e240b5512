package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// podmanContainer is what of `podman inspect` is looked at.
type podmanContainer struct {
	ID    string `json:"Id"`
	State struct {
		Status string `json:"Status"`
	} `json:"State"`
	NetworkSettings struct {
		Networks map[string]struct {
			IPAddress   string   `json:"IPAddress"`
			IPPrefixLen int      `json:"IPPrefixLen"`
			Aliases     []string `json:"Aliases"`
		} `json:"Networks"`
	} `json:"NetworkSettings"`
}

// lookPodman asks the podman program: its socket is off on most hosts.
func (m *machine) lookPodman(ctx context.Context, s *snap.Snapshot, c fixups.Ctr) error {
	out, err := ns.Command(ctx, m.host, "podman", "inspect", "--type", "container", "--", c.ID)
	if err != nil {
		return fmt.Errorf("asking podman for %s: %w", c.Name, err)
	}
	var list []podmanContainer
	if err := json.Unmarshal(out, &list); err != nil || len(list) != 1 || list[0].ID != c.ID {
		return fmt.Errorf("podman's answer about %s: %w", c.Name, snap.ErrVanished)
	}
	x := place(s, c)
	x.State = list[0].State.Status
	var eps []snap.Endpoint
	for name, n := range list[0].NetworkSettings.Networks {
		e := snap.Endpoint{Network: name}
		for _, old := range x.Endpoints {
			if old.Network == name {
				e = old
			}
		}
		e.Aliases = n.Aliases
		e.IPv4 = netip.Prefix{}
		if a, err := netip.ParseAddr(n.IPAddress); err == nil {
			e.IPv4 = netip.PrefixFrom(a, n.IPPrefixLen)
		}
		eps = append(eps, e)
	}
	x.Endpoints = eps
	return nil
}

// podman runs the line that a person would type. The container is named by its
// id, which can't be an option.
func (m *machine) podman(ctx context.Context, op fixups.Op) error {
	var args []string
	switch o := op.(type) {
	case *fixups.EngineConnect:
		args = []string{"network", "connect"}
		if o.IPv4.IsValid() {
			args = append(args, "--ip", o.IPv4.String())
		}
		if o.IPv6.IsValid() {
			args = append(args, "--ip6", o.IPv6.String())
		}
		for _, a := range o.Aliases {
			args = append(args, "--alias="+a)
		}
		args = append(args, "--", o.Network, o.Ctr.ID)
	case *fixups.EngineDisconnect:
		args = []string{"network", "disconnect", "--", o.Network, o.Ctr.ID}
	case *fixups.ContainerStart:
		args = []string{"start", "--", o.Ctr.ID}
	case *fixups.ContainerStop:
		args = []string{"stop", "-t", "5", "--", o.Ctr.ID}
	case *fixups.ContainerPause:
		args = []string{"pause", "--", o.Ctr.ID}
	case *fixups.ContainerUnpause:
		args = []string{"unpause", "--", o.Ctr.ID}
	default:
		return fmt.Errorf("podman %s: %w", strings.TrimPrefix(op.Kind(), "container-"), snap.ErrUnsupported)
	}
	_, err := ns.Command(ctx, m.host, "podman", args...)
	return err
}
