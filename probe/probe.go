// Package probe puts one live question at a time to the network, from inside a
// network namespace, and reports what came back as a snap.Probe. Sockets are
// opened inside the namespace by address, never by name, and are used outside
// of it: a socket keeps the namespace that it was opened in.
//
// Everything ends within its timeout, and at once when its context ends. A
// probe leaves nothing behind: connections that came up are reset.
package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// defaultTimeout is how long one question waits in all: long for a host's own
// bridges (under 1 ms) and for most of the world (under 300 ms), short enough
// for a run of hundreds of questions, most of them dead.
const defaultTimeout = time.Second

// parallel is how many questions of a Run are under way at once.
const parallel = 32

// The source ports of probes, above ip_local_port_range's default end (60999), so
// that a probe is told from other traffic and clashes with none.
const (
	FirstPort = 61000
	Ports     = 4500
)

// Prober asks. Its zero value works; it may be used by several goroutines.
type Prober struct {
	// Timeout is for each question in all, its repeats included; 0 is one second.
	Timeout time.Duration
	// Pace is the time between the starts of two questions; 0 none.
	Pace time.Duration
	// Observer watches the packets on their way; nil: nobody does.
	Observer Observer

	ids atomic.Uint32 // of the probes so far
}

// id is a number that no other probe of the last thousands has, from 0 to n-1.
func (p *Prober) id(n int) int {
	if p.ids.Load() == 0 {
		p.ids.CompareAndSwap(0, rand.Uint32()|1) //nolint:gosec // not a secret
	}
	return int(p.ids.Add(1) % uint32(n))
}

// Options of one question. The zero value asks in the ordinary way.
type Options struct {
	Timeout time.Duration // 0: the Prober's
	// Tries is how often ICMP, UDP, ARP and DNS are sent within the timeout; 0
	// is 2. TCP is tried once: the kernel itself repeats the SYN after 1 s.
	Tries int
	Src   netip.Addr // zero: the kernel chooses by the route
	Sport uint16     // 0: an unused one from 61000 to 65499, above Linux's own range
	// Size is the payload in bytes beyond the transport (or ICMP) header; 0 is
	// the probe's own small one. Less than the token (16 bytes) becomes the token.
	Size int
	// DF forbids fragmentation and ignores the path MTU that the kernel remembers.
	DF     bool
	Device string // leave by this device; ARP: ask there; "" the route's
	TTL    uint8  // 0: the namespace's default
	// Via is the neighbour of the kind "router".
	Via netip.Addr
	// First ends an ARP at the first answer: whether anybody has the address is asked,
	// not who all have it.
	First bool
	// Pieces sends each IPv4 echo as two fragments, however small it is.
	Pieces bool
	// DNS alone.
	Name string // the whole name, with or without the last dot
	Type string // "A" when empty
	TCP  bool   // ask over TCP at once
	EDNS bool   // announce 1232 bytes by EDNS(0)

}

// Question is one entry of a Run.
type Question struct {
	Kind string // "tcp", "udp", "icmp", "arp", "neigh", "dns", "router", "whole"
	From *snap.Netns
	Dst  netip.AddrPort // port 0 for ICMP and ARP
	// Arrives says that the packet is to come in by Device, from Src beyond this
	// host: see Arrive.
	Arrives bool
	Options
}

// Run puts all questions, 32 at a time. Answers come in the order
// of the questions; a question of an unknown kind gets the outcome "error".
func (p *Prober) Run(ctx context.Context, qs []Question) []snap.Probe {
	out := make([]snap.Probe, len(qs))
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, q := range qs {
		if i > 0 && p.Pace > 0 {
			select {
			case <-time.After(p.Pace):
			case <-ctx.Done():
			}
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i] = p.ask(ctx, q)
		})
	}
	wg.Wait()
	return out
}

func (p *Prober) ask(ctx context.Context, q Question) snap.Probe {
	if q.Arrives {
		return p.Arrive(ctx, q)
	}
	switch q.Kind {
	case "tcp":
		return p.TCP(ctx, q.From, q.Dst, q.Options)
	case "udp":
		return p.UDP(ctx, q.From, q.Dst, q.Options)
	case "icmp":
		return p.ICMP(ctx, q.From, q.Dst.Addr(), q.Options)
	case "arp":
		return p.ARP(ctx, q.From, q.Dst.Addr(), q.Options)
	case "neigh":
		q.First = true
		r := p.ARP(ctx, q.From, q.Dst.Addr(), q.Options)
		r.Kind = q.Kind
		return r
	case "dns":
		return p.DNS(ctx, q.From, q.Dst, q.Options)
	case "router":
		return p.Router(ctx, q.From, q.Dst, q.Options)
	case "whole":
		return p.Whole(ctx, q.From, q.Dst.Addr(), q.Options)
	}
	r := begin(q.Kind, q.From, q.Dst, q.Options)
	return fail(r, fmt.Errorf("probe of kind %q: %w", q.Kind, snap.ErrUnsupported))
}

// begin fills in what is known before anything is sent.
func begin(kind string, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	r := snap.Probe{Kind: kind, Dst: dst, Size: o.Size, DF: o.DF, At: time.Now().UTC()}
	if from != nil {
		r.From = from.ID
	}
	return r
}

func (p *Prober) timeout(o Options) time.Duration {
	switch {
	case o.Timeout > 0:
		return o.Timeout
	case p.Timeout > 0:
		return p.Timeout
	}
	return defaultTimeout
}

func (o Options) tries() int {
	if o.Tries > 0 {
		return o.Tries
	}
	return 2
}

// open gives the namespace that n was when it was read, or ErrVanished.
func open(n *snap.Netns) (*ns.Handle, error) {
	if n == nil {
		return nil, fmt.Errorf("namespace to ask from: %w", snap.ErrNotFound)
	}
	if n.Path == "" {
		return nil, snap.NotFoundf("namespace %s has no file to open it by", n.ID)
	}
	h, err := ns.Open(n.Path)
	if err != nil {
		return nil, err
	}
	if n.Inode != 0 && h.Inode() != n.Inode {
		_ = h.Close() // nothing was done with it
		return nil, fmt.Errorf("namespace %s is another one by now (%s): %w", n.ID, n.Path, snap.ErrVanished)
	}
	return h, nil
}

// fail says that the probe itself did not work, and so proves nothing.
func fail(r snap.Probe, err error) snap.Probe {
	r.Outcome, r.Detail, r.Errno = snap.Failed, err.Error(), errnoName(err)
	if errors.Is(err, snap.ErrPermission) && r.Errno == "" {
		r.Errno = "EPERM"
	}
	return r
}
