// Package dns is the embedded resolver of our own networks: what Docker puts
// behind 127.0.0.11 in every container of a custom network. It answers the
// names of a container's own networks from a table and forwards the rest, with
// Docker's order, time-outs and oddities (moby daemon/libnetwork/resolver.go).
//
// It opens no listening socket. The caller opens them inside the container's
// network namespace, on 127.0.0.11 and a free port, has that namespace's DNAT
// lead port 53 there, and hands them in:
//
//	srv := &dns.Server{Records: table}
//	err := srv.Serve(ctx, dns.Container{ID: id, UDP: udp, TCP: tcp, Upstreams: up})
//
// One Server serves any number of containers, one Serve each. What it answers
// comes from Records at every query, so that a change is seen by the next one:
// the owner of the table makes a new Network (NewNetwork) for the network that
// changed and lets Zone return it from then on.
//
// A container on the default bridge has no embedded resolver, and no Serve.
package dns

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Records is the table of names. Its method is called for every query, by many
// goroutines at once: it should load a pointer, not build a zone.
type Records interface {
	// Zone is what a container may ask for now, or nil when it has no names
	// (everything is forwarded). The zone is not changed afterwards.
	Zone(container string) *Zone
}

// Container is one place to serve, with its sockets. Serve owns and closes them.
type Container struct {
	ID string // the argument of Records.Zone

	// UDP and TCP are open sockets of the container's namespace. TCP may be nil.
	// A socket on the unspecified address is taken only with Clients.
	UDP *net.UDPConn
	TCP *net.TCPListener

	// Clients limits who is answered. Empty: whoever reaches the sockets, which
	// on a loopback address is this container alone.
	Clients []netip.Prefix

	// Upstreams are asked in this order; the first maxUpstreams count.
	Upstreams []Upstream

	// ShortStaysLocal says that the container's resolv.conf sets ndots above 0
	// itself: a name without a dot is then never forwarded for A and AAAA, the
	// answer is NOERROR without records (resolver.go: serveDNS, "ndots").
	ShortStaysLocal bool
}

// Upstream is a server that unknown names are forwarded to.
type Upstream struct {
	Addr netip.AddrPort

	// Host says that queries leave from the host's namespace. Such a server is
	// not asked for a container that has internal networks only, since the
	// question itself would carry data out (CVE-2024-29018).
	Host bool

	// Dial opens a connected socket ("udp4", "udp6", "tcp4", "tcp6") in the
	// namespace that the query has to leave from. Nil: the namespace of this
	// process.
	Dial func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
}

// maxUpstreams is how many upstreams are asked for one query, at most
// (resolver.go: maxExtDNS).
const maxUpstreams = 3

// Limits bound what one container can make the server hold. The zero value
// takes the defaults.
type Limits struct {
	Forwards int // forwards in flight of one container; more get SERVFAIL at once. 0: 512
	Total    int // forwards in flight of all containers: each costs a descriptor. 0: 4096

	TCP      int // connections of one container; a new one ends the one idle longest. 0: 256
	TCPTotal int // connections of all containers. 0: 4096

	Upstream time.Duration // how long one upstream is waited for. 0: 4 s (resolver.go: extIOTimeout)
	Idle     time.Duration // how long a TCP client may say nothing. 0: 10 s (RFC 7766 6.2.3: a few seconds)
	Message  time.Duration // how long one TCP message may take, read or written. 0: 4 s
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Forwards, 512)
	set(&l.Total, 4096)
	set(&l.TCP, 256)
	set(&l.TCPTotal, 4096)
	wait(&l.Upstream, 4*time.Second)
	wait(&l.Idle, 10*time.Second)
	wait(&l.Message, 4*time.Second)
	return l
}
