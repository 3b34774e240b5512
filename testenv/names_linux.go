package testenv

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/dns"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// names is the embedded resolver with its table.
type names struct {
	server *dns.Server
	zones  sync.Map // container's id to *dns.Zone
	tables map[string]*dns.Network
	work   sync.WaitGroup
	// stale says that fresh is to be called before the next answer: the tables are
	// made anew when they are asked for, not once for each of many changes.
	stale atomic.Bool
	fresh func()
}

func newNames(fresh func()) *names {
	n := &names{tables: map[string]*dns.Network{}, fresh: fresh}
	n.server = &dns.Server{Records: n}
	return n
}

// Zone is dns.Records.
func (n *names) Zone(container string) *dns.Zone {
	if n.stale.Load() {
		n.fresh()
	}
	if z, ok := n.zones.Load(container); ok {
		return z.(*dns.Zone) //nolint:forcetypeassert // nothing else is stored
	}
	return nil
}

// serve opens a container's sockets inside its namespace and answers on them
// until the function that it gives is called.
func (n *names) serve(c *driver.Container) (context.CancelFunc, error) {
	at := netip.AddrPortFrom(snap.DockerResolver(), c.DNSPort)
	h, err := ns.Open(c.Ctr.SandboxKey)
	if err != nil {
		return nil, err
	}
	box := dns.Container{ID: c.Ctr.ID, ShortStaysLocal: shortStays(c)}
	if err := h.Do(func() error {
		udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		if err != nil {
			_ = udp.Close() // the error that matters is err
			return err
		}
		box.UDP, box.TCP = udp, tcp
		return nil
	}); err != nil {
		_ = h.Close() // only a descriptor
		return nil, err
	}
	box.Upstreams = upstreams(c, h)
	ctx, stop := context.WithCancel(context.Background())
	n.work.Go(func() {
		_ = n.server.Serve(ctx, box) // it ends with its namespace, too
		_ = h.Close()                // only a descriptor
	})
	return stop, nil
}

// shortStays says whether ndots was given for the container.
func shortStays(c *driver.Container) bool {
	return slices.ContainsFunc(c.Ctr.DNSOptions, func(o string) bool { return strings.HasPrefix(o, "ndots:") && o != "ndots:0" })
}

// upstreams are those of the container's own choice, asked from its namespace,
// or the host's, asked from there.
func upstreams(c *driver.Container, h *ns.Handle) []dns.Upstream {
	var out []dns.Upstream
	for _, s := range c.Ctr.DNS {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, dns.Upstream{Addr: netip.AddrPortFrom(a, 53), Dial: func(ctx context.Context, network string, to netip.AddrPort) (conn net.Conn, err error) {
				var d net.Dialer //nolint:forbidigo // dials an address, inside Do
				err = h.DoContext(ctx, func() error {
					conn, err = d.DialContext(ctx, network, to.String())
					return err
				})
				return conn, err
			}})
		}
	}
	if len(out) > 0 {
		return out
	}
	r, err := readResolv()
	if err != nil {
		return nil
	}
	for _, a := range r.Conf.Nameservers {
		out = append(out, dns.Upstream{Addr: netip.AddrPortFrom(a, 53), Host: true})
	}
	return out
}

// update makes the tables of the networks anew, all of them for nil, and the
// zones of their members.
func (n *names) update(st *store.State, changed map[string]bool) {
	nets := st.Nets()
	live := map[string]bool{}
	for i := range st.Containers {
		c := &st.Containers[i]
		live[c.Ctr.ID] = !c.Foreign && c.Ctr.Running() && alive(c.Ctr.PID, c)
	}
	for name, net := range nets {
		if changed == nil || changed[name] {
			n.tables[name] = n.table(st, net, live)
		}
	}
	seen := map[string]bool{}
	for i := range st.Containers {
		c := &st.Containers[i]
		seen[c.Ctr.ID] = true
		if changed == nil || slices.ContainsFunc(c.Ctr.Endpoints, func(ep snap.Endpoint) bool { return changed[ep.Network] }) {
			n.zones.Store(c.Ctr.ID, n.zone(c, nets))
		}
	}
	n.zones.Range(func(id, _ any) bool {
		if s, ok := id.(string); ok && !seen[s] {
			n.zones.Delete(id)
		}
		return true
	})
}

// table is that of one network.
func (n *names) table(st *store.State, net *driver.Network, live map[string]bool) *dns.Network {
	var eps []dns.Endpoint
	tasks := map[string][]netip.Addr{}
	for i := range st.Containers {
		c := &st.Containers[i]
		ep := c.Endpoint(net.Net.Name)
		if ep == nil || !live[c.Ctr.ID] {
			continue
		}
		e := dns.Endpoint{Names: ep.DNSNames}
		for _, p := range []netip.Prefix{ep.IPv4, ep.IPv6} {
			if p.IsValid() {
				e.Addrs = append(e.Addrs, p.Addr())
			}
		}
		eps = append(eps, e)
		tasks[c.Ctr.Service] = append(tasks[c.Ctr.Service], e.Addrs...)
	}
	var services []dns.Service
	for _, s := range net.Net.Services {
		services = append(services, dns.Service{Names: []string{s.Name}, Virtual: []netip.Addr{s.VIP}, Tasks: tasks[s.Name]})
	}
	return dns.NewNetwork(net.Net.Name, eps, services)
}

// zone is what a container may ask for: its networks in the order of the
// gateway's choice.
func (n *names) zone(c *driver.Container, nets map[string]*driver.Network) *dns.Zone {
	z := &dns.Zone{Internal: true}
	for _, name := range driver.Order(c, nets) {
		net := nets[name]
		if !net.Net.Internal {
			z.Internal = false
		}
		if net.Net.DNS {
			z.Networks = append(z.Networks, n.tables[name])
		}
	}
	for _, l := range c.Ctr.Links {
		to, alias, ok := strings.Cut(l, ":")
		if !ok {
			alias = to
		}
		if z.Links == nil {
			z.Links = map[string]string{}
		}
		z.Links[strings.ToLower(alias)] = strings.ToLower(to)
	}
	return z
}
