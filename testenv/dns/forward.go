package dns

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"
)

// begin takes a place among the forwards in flight; false: there is none.
func (sb *sandbox) begin() bool {
	if sb.forwards.Add(1) > int64(sb.limits.Total) {
		sb.forwards.Add(-1)
		return false
	}
	select {
	case sb.slots <- struct{}{}:
		return true
	default:
		sb.forwards.Add(-1)
		return false
	}
}

// end gives the place back.
func (sb *sandbox) end() {
	<-sb.slots
	sb.forwards.Add(-1)
}

// ask puts a query to the upstreams in their order, by the transport that the
// client used. The next one is asked after a time-out, SERVFAIL or REFUSED;
// any other answer is final, NXDOMAIN too (resolver.go: forwardExtDNS). Nil:
// none answered.
func (sb *sandbox) ask(ctx context.Context, q *query, transport string) []byte {
	for _, u := range sb.up {
		if z := sb.zone(); u.Host && z != nil && z.Internal {
			continue
		}
		answer := sb.exchange(ctx, u, q, transport)
		if answer == nil {
			continue
		}
		if rcode := answer[3] & 0xf; rcode == rcodeServer || rcode == rcodeRefused {
			continue
		}
		copy(answer, q.msg[:2])
		if len(answer) >= q.end {
			copy(answer[headerLen:], q.msg[headerLen:q.end]) // the case that the client wrote
		}
		return answer
	}
	return nil
}

// exchange asks one upstream, and waits on when what comes is not its answer:
// with another id, another question, or not a message at all.
func (sb *sandbox) exchange(ctx context.Context, u Upstream, q *query, transport string) []byte {
	ctx, cancel := context.WithTimeout(ctx, sb.limits.Upstream)
	defer cancel()
	dial := u.Dial
	if dial == nil {
		dial = func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			var d net.Dialer //nolint:forbidigo // dials an address
			return d.DialContext(ctx, network, to.String())
		}
	}
	family := "4"
	if u.Addr.Addr().Is6() && !u.Addr.Addr().Is4In6() {
		family = "6"
	}
	// A socket for each query: the kernel chooses its port at random, and
	// connected it takes packets of this upstream only (RFC 5452 9).
	conn, err := dial(ctx, transport+family, u.Addr)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }() // everything was read
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	msg := make([]byte, 2+len(q.msg))
	binary.BigEndian.PutUint16(msg, uint16(len(q.msg))) // #nosec G115 -- a query has at most 4096 octets
	copy(msg[2:], q.msg)
	if _, err := rand.Read(msg[2:4]); err != nil {
		return nil
	}
	send, buf := msg, make([]byte, 4096)
	if transport == "udp" {
		send = msg[2:]
	}
	if _, err := conn.Write(send); err != nil {
		return nil
	}
	for {
		answer, err := receive(conn, buf, transport)
		if err != nil {
			return nil
		}
		if answers(answer, msg[2:], q) {
			return answer
		}
	}
}

// receive reads one message.
func receive(conn net.Conn, buf []byte, transport string) ([]byte, error) {
	if transport == "udp" {
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > len(buf) {
		buf = make([]byte, n)
	}
	_, err := io.ReadFull(conn, buf[:n])
	return buf[:n], err
}

// answers says whether a message is an answer to this query, sound from end to
// end. Names are compared without regard to case, since some servers change it
// (RFC 1035 2.3.3).
func answers(a, sent []byte, q *query) bool {
	if len(a) < headerLen || a[2]&bitQR == 0 || a[0] != sent[0] || a[1] != sent[1] {
		return false
	}
	counts := a[4:headerLen]
	if len(a) == headerLen { // the query was not even read
		rcode := a[3] & 0xf
		return binary.BigEndian.Uint64(counts) == 0 && (rcode == rcodeFormat || rcode == rcodeServer || rcode == rcodeNotImp || rcode == rcodeRefused)
	}
	if counts[0] != 0 || counts[1] != 1 || len(a) < q.end ||
		!sameName(a[headerLen:q.end-4], sent[headerLen:q.end-4]) || !bytes.Equal(a[q.end-4:q.end], sent[q.end-4:q.end]) {
		return false
	}
	off := q.end
	for range int(binary.BigEndian.Uint16(counts[2:])) + int(binary.BigEndian.Uint16(counts[4:])) + int(binary.BigEndian.Uint16(counts[6:])) {
		var ok bool
		if _, off, ok = readRecord(a, off); !ok {
			return a[2]&bitTC != 0 // cut in the middle: the client asks again by TCP
		}
	}
	return true
}

// sameName compares two names as they stand in a message. No length octet is a
// letter, so octets are compared.
func sameName(a, b []byte) bool {
	for i := range a {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return len(a) == len(b)
}
