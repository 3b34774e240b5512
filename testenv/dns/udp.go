package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// serveUDP answers datagrams until the socket is closed. One goroutine reads
// and answers what is local; a forward gets its own.
func (sb *sandbox) serveUDP(ctx context.Context) error {
	var (
		in  = make([]byte, 4096) // a longer query is cut, and malformed then
		q   query
		out = reply{buf: make([]byte, 0, udpMax)}

		failed int // reads in a row
	)
	for {
		n, from, err := sb.c.UDP.ReadFromUDPAddrPort(in)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if failed++; failed > 100 || errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("reading DNS queries of %s: %w", sb.c.ID, err)
			}
			continue // an ICMP error about an answer that nobody wanted any more
		}
		failed = 0
		if !sb.allowed(from.Addr()) {
			continue
		}
		answer, done := sb.decide(&q, &out, in[:n], 0)
		if !done {
			answer = sb.forwardUDP(ctx, &q, &out, from)
		}
		if answer != nil {
			_, _ = sb.c.UDP.WriteToUDPAddrPort(answer, from) // who does not hear it asks again
		}
	}
}

// forwardUDP hands a query to a goroutine of its own; what it returns is sent
// at once.
func (sb *sandbox) forwardUDP(ctx context.Context, q *query, out *reply, from netip.AddrPort) []byte {
	if !sb.begin() {
		return failure(q, out)
	}
	own := *q
	own.msg = slices.Clone(q.msg)
	sb.work.Go(func() {
		defer sb.end()
		answer := sb.ask(ctx, &own, "udp")
		if limit := min(own.size, udpMax); len(answer) > limit {
			answer = cut(answer, own.end)
		}
		if answer == nil {
			answer = failure(&own, &reply{})
		}
		_, _ = sb.c.UDP.WriteToUDPAddrPort(answer, from) // as above
	})
	return nil
}

// cut leaves the header and the question of an answer, and says so: the client
// asks again by TCP (RFC 2181 9).
func cut(answer []byte, end int) []byte {
	answer = answer[:end]
	answer[2] |= bitTC
	clear(answer[6:headerLen])
	return answer
}
