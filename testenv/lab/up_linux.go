package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/serve"
)

// Lab is a practice host that is up. The process that made it lives in the
// host's namespaces; when it ends, everything is gone.
type Lab struct {
	Spec  Spec
	procs map[string]*proc // by container name; "internet" is the world
	host  *ns.Handle
	stop  context.CancelFunc
}

// Up builds a lab in the namespaces that this process lives in; they must be
// its own (Inside).
func Up(ctx context.Context, spec Spec) (*Lab, error) {
	if !Inside() {
		return nil, fmt.Errorf("building a lab outside private namespaces: %w", snap.ErrPermission)
	}
	if err := settle(fmt.Sprintf("nameserver %s\n", worldDNS)); err != nil {
		return nil, err
	}
	host, err := ns.Self()
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	l := &Lab{Spec: spec, procs: map[string]*proc{}, host: host, stop: stop}
	if err := l.build(serving); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	return l, nil
}

// Down ends all of the lab's processes. The devices and rules of the host go
// with its namespace.
func (l *Lab) Down() error {
	l.stop()
	var errs []error
	for _, p := range l.procs {
		errs = append(errs, p.stop())
	}
	return errors.Join(append(errs, l.host.Close())...)
}

// build makes the world, the networks, the rules, then the containers.
func (l *Lab) build(ctx context.Context) error {
	h, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer h.Close()
	if err := up(h, "lo"); err != nil {
		return err
	}
	if err := l.world(h); err != nil {
		return err
	}
	if len(l.Spec.Networks) == 0 {
		return nil // only the world: somebody else makes networks here, a real engine
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil { // #nosec G306 -- a sysctl has the kernel's mode
		return fmt.Errorf("turning forwarding on: %w", err)
	}
	for i := range l.Spec.Networks {
		n := &l.Spec.Networks[i]
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.Bridge, Alias: "netdoctor:lab", HardwareAddr: mac(n.Gateway)}}
		if err := h.LinkAdd(br); err != nil {
			return fmt.Errorf("making bridge %s: %w", n.Bridge, err)
		}
		if err := address(h, n.Bridge, netip.PrefixFrom(n.Gateway, n.Subnet.Bits())); err != nil {
			return err
		}
		if err := serve.DNS(ctx, netip.AddrPortFrom(n.Gateway, 53), l.zone(n), netip.AddrPortFrom(worldDNS, 53)); err != nil {
			return err
		}
	}
	if err := l.firewall(ctx); err != nil {
		return err
	}
	for i := range l.Spec.Containers {
		if err := l.attach(h, &l.Spec.Containers[i]); err != nil {
			return err
		}
	}
	if err := forwarding(ctx, h); err != nil {
		return err
	}
	return l.record()
}

// forwarding waits until the bridges' ports are: the kernel's link watch makes them
// so some time after their devices came up (net/core/link_watch.c).
func forwarding(ctx context.Context, h *netlink.Handle) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		links, err := h.LinkList()
		if err != nil {
			return fmt.Errorf("waiting for the bridges' ports: %w", err)
		}
		if !slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().MasterIndex != 0 && l.Attrs().OperState != netlink.OperUp }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the bridges' ports: %w", snap.ErrTimeout)
		case <-tick.C:
		}
	}
}

// zone is what a network's resolver knows: its members, also as name.network.
func (l *Lab) zone(n *Network) func() serve.Zone {
	z := serve.Zone{}
	for _, c := range l.Spec.Containers {
		if c.Network == n.Name {
			z[c.Name+"."] = []netip.Addr{c.Addr}
			z[c.Name+"."+n.Name+"."] = []netip.Addr{c.Addr}
		}
	}
	return func() serve.Zone { return z }
}

// world makes what is around the host: a router, and an internet of one machine
// behind it that is web and name server.
func (l *Lab) world(h *netlink.Handle) error {
	router, err := l.outside(childSpec{Name: "router", Forward: true})
	if err != nil {
		return err
	}
	internet, err := l.outside(childSpec{
		Name: "internet", Listen: []string{"tcp:" + worldWeb.String() + ":80", "tcp:" + worldWeb.String() + ":443"},
		DNS:      map[string]string{"www.example.org": worldWeb.String()},
		Listen53: []string{worldDNS.String() + ":53"},
	})
	if err != nil {
		return err
	}
	if err := pair(h, "eth0", router.pid, routerAddr.Addr()); err != nil {
		return err
	}
	if err := address(h, "eth0", hostAddr); err != nil {
		return err
	}
	if err := inside(router.pid, func(rh *netlink.Handle) error {
		if err := pair(rh, "wan0", internet.pid, worldWeb); err != nil {
			return err
		}
		if err := address(rh, "wan0", wanAddr); err != nil {
			return err
		}
		return address(rh, "eth0", routerAddr)
	}); err != nil {
		return err
	}
	if err := inside(internet.pid, func(ih *netlink.Handle) error {
		for _, ip := range []netip.Addr{worldWeb, worldDNS} {
			if err := address(ih, "eth0", netip.PrefixFrom(ip, wanAddr.Bits())); err != nil {
				return err
			}
		}
		return ih.RouteAdd(&netlink.Route{Dst: network(hostAddr), Gw: wanAddr.Addr().AsSlice()})
	}); err != nil {
		return err
	}
	if err := defaultRoute(h, routerAddr.Addr()); err != nil {
		return err
	}
	return errors.Join(router.run(), internet.run())
}

// outside starts a process of the world, in a namespace with a name.
func (l *Lab) outside(c childSpec) (*proc, error) {
	p, err := start(c)
	if err != nil {
		return nil, err
	}
	l.procs[c.Name] = p
	file := filepath.Join("/run/netns", c.Name)
	if err := os.WriteFile(file, nil, 0o444); err != nil { // #nosec G306 -- as `ip netns` makes them
		return nil, fmt.Errorf("naming %s: %w", c.Name, err)
	}
	if err := unix.Mount(p.netnsPath(), file, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("naming %s: %w", c.Name, err)
	}
	return p, nil
}

// attach starts a container and puts it on its network.
func (l *Lab) attach(h *netlink.Handle, c *Container) error {
	n := l.Spec.network(c.Network)
	if n == nil {
		return snap.NotFoundf("container %s: no network %s", c.Name, c.Network)
	}
	dir := filepath.Join(RunDir, "containers", "ctr-"+c.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- a practice container's files
		return fmt.Errorf("container %s: %w", c.Name, err)
	}
	files := map[string]string{
		"resolv.conf": fmt.Sprintf("nameserver %s\n", n.Gateway),
		"hosts":       fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", c.Addr, c.Name),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { // #nosec G306 -- read by all programs of the container
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
	}
	p, err := start(childSpec{Name: c.Name, Listen: c.Listen, ResolvConf: filepath.Join(dir, "resolv.conf"), Hosts: filepath.Join(dir, "hosts")})
	if err != nil {
		return err
	}
	l.procs[c.Name] = p
	veth := hostEnd(c.Name)
	if err := pair(h, veth, p.pid, c.Addr); err != nil {
		return err
	}
	if err := join(h, veth, n.Bridge); err != nil {
		return err
	}
	if err := inside(p.pid, func(ih *netlink.Handle) error {
		if err := address(ih, "eth0", netip.PrefixFrom(c.Addr, n.Subnet.Bits())); err != nil {
			return err
		}
		return defaultRoute(ih, n.Gateway)
	}); err != nil {
		return err
	}
	return p.run()
}

// hostEnd names the host's end of a container's veth; device names hold at
// most 15 bytes (linux/if.h: IFNAMSIZ).
func hostEnd(container string) string {
	name := "veth-" + strings.ReplaceAll(container, "/", "-")
	return name[:min(len(name), 15)]
}

// inside runs fn with a netlink handle of a process's namespace, lo being up.
func inside(pid int, fn func(*netlink.Handle) error) error {
	id, err := netns.GetFromPid(pid)
	if err != nil {
		return fmt.Errorf("opening the namespace of pid %d: %w", pid, err)
	}
	defer func() { _ = id.Close() }() // only read
	h, err := netlink.NewHandleAt(id)
	if err != nil {
		return fmt.Errorf("netlink of pid %d: %w", pid, err)
	}
	defer h.Close()
	if err := up(h, "lo"); err != nil {
		return err
	}
	return fn(h)
}
