package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Server answers for any number of containers. The zero value forwards
// everything.
type Server struct {
	Records Records
	Limits  Limits // read when Serve begins

	forwards, tcp atomic.Int64 // in flight and open, of all containers
}

// sandbox is one container being served.
type sandbox struct {
	*Server
	c      Container
	limits Limits
	up     []Upstream // those that are asked
	slots  chan struct{}
	work   sync.WaitGroup // everything that was started
}

// ErrOpen says that a socket would answer anybody.
var ErrOpen = errors.New("a resolver on the unspecified address needs Clients")

// Serve answers a container until ctx ends, and closes its sockets. It returns
// when everything that it started has ended; nil after ctx ended.
func (s *Server) Serve(ctx context.Context, c Container) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sb := &sandbox{Server: s, c: c, limits: s.Limits.withDefaults()}
	sb.slots = make(chan struct{}, sb.limits.Forwards)
	if c.UDP == nil {
		return errors.New("serving DNS: no UDP socket")
	}
	udp := local(c.UDP.LocalAddr())
	if udp.Addr().IsUnspecified() && len(c.Clients) == 0 {
		_ = c.UDP.Close() // the error that matters is ErrOpen
		if c.TCP != nil {
			_ = c.TCP.Close()
		}
		return fmt.Errorf("serving DNS on %s: %w", udp, ErrOpen)
	}
	own := []netip.AddrPort{udp}
	if c.TCP != nil {
		own = append(own, local(c.TCP.Addr()))
	}
	for _, u := range c.Upstreams {
		if !itself(u, own) && len(sb.up) < maxUpstreams {
			sb.up = append(sb.up, u)
		}
	}
	stop := context.AfterFunc(ctx, func() {
		_ = c.UDP.Close() // ends the readers; there is nobody left to tell
		if c.TCP != nil {
			_ = c.TCP.Close()
		}
	})
	defer stop()
	failed := make(chan error, 2)
	sb.work.Go(func() { failed <- sb.serveUDP(ctx); cancel() })
	if c.TCP != nil {
		sb.work.Go(func() { failed <- sb.serveTCP(ctx); cancel() })
	}
	err := <-failed
	<-ctx.Done()
	sb.work.Wait()
	return err
}

// itself says whether an upstream is this resolver: its own sockets, or the
// address that DNAT leads to them.
func itself(u Upstream, own []netip.AddrPort) bool {
	for _, o := range own {
		if u.Host && o.Addr().IsLoopback() {
			continue // the host's 127.0.0.11 is not the container's
		}
		if u.Addr == o || u.Addr.Addr() == o.Addr() && u.Addr.Port() == 53 {
			return true
		}
	}
	return false
}

// local is a socket's own address.
func local(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// allowed says whether a client is answered.
func (sb *sandbox) allowed(a netip.Addr) bool {
	return len(sb.c.Clients) == 0 || slices.ContainsFunc(sb.c.Clients, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// zone is the table as it is now.
func (sb *sandbox) zone() *Zone {
	if sb.Records == nil {
		return nil
	}
	return sb.Records.Zone(sb.c.ID)
}

// decide answers what can be answered at once. Nil and true: there is no
// answer; nil and false: ask the upstreams.
func (sb *sandbox) decide(q *query, r *reply, msg []byte, limit int) ([]byte, bool) {
	rcode, answer := q.parse(msg)
	if !answer {
		return nil, true
	}
	if limit == 0 { // UDP: what the client takes, and no more than gets through
		limit = min(q.size, udpMax)
	}
	if rcode != rcodeOK {
		r.begin(q, rcode, limit)
		return r.finish(q, rcode), true
	}
	z := sb.zone()
	if r.local(q, z, limit) {
		return r.finish(q, rcodeOK), true
	}
	switch {
	case q.qtype == typeAXFR || q.qtype == typeIXFR: // not one message; nobody's resolver does it
		rcode = rcodeRefused
	case sb.c.ShortStaysLocal && (q.qtype == typeA || q.qtype == typeAAAA) && q.length > 0 && !slices.Contains(q.text(), '.'):
	default:
		return nil, false
	}
	r.begin(q, rcode, limit)
	return r.finish(q, rcode), true
}

// failure is a SERVFAIL to q.
func failure(q *query, r *reply) []byte {
	r.begin(q, rcodeServer, udpMin)
	return r.finish(q, rcodeServer)
}
