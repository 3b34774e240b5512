package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// client is one TCP connection.
type client struct {
	net.Conn
	write sync.Mutex
	busy  atomic.Int32 // queries being answered
	last  atomic.Int64 // when it last said something, Unix nanoseconds
}

// serveTCP accepts connections until the listener is closed. When there are as
// many as allowed, the one that has been silent longest makes room: idle
// clients can't keep a new one out.
func (sb *sandbox) serveTCP(ctx context.Context) error {
	open := clients{list: map[*client]struct{}{}}
	defer open.closeAll()
	for {
		conn, err := sb.c.TCP.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accepting DNS clients of %s: %w", sb.c.ID, err)
			}
			open.closeIdlest() // no descriptors left: give one back, and go on
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		if !sb.allowed(local(conn.RemoteAddr()).Addr()) {
			_ = conn.Close() // not ours to serve
			continue
		}
		if open.len() >= sb.limits.TCP || sb.tcp.Load() >= int64(sb.limits.TCPTotal) {
			if !open.closeIdlest() {
				_ = conn.Close() // all are being answered
				continue
			}
		}
		c := &client{Conn: conn}
		c.last.Store(time.Now().UnixNano())
		sb.tcp.Add(1)
		open.add(c)
		sb.work.Go(func() {
			defer sb.tcp.Add(-1)
			defer open.remove(c)
			sb.talk(ctx, c)
		})
	}
}

// talk answers the queries of one connection, in any order (RFC 7766 6.2.1.1).
func (sb *sandbox) talk(ctx context.Context, c *client) {
	var (
		q       query
		out     reply
		buf     []byte
		answers sync.WaitGroup
	)
	defer answers.Wait() // answers under way are still written
	for {
		msg, err := sb.read(c, &buf)
		if err != nil {
			return
		}
		c.last.Store(time.Now().UnixNano())
		answer, done := sb.decide(&q, &out, msg, tcpMax)
		if !done && !sb.begin() {
			answer, done = failure(&q, &out), true
		}
		if !done {
			own := q
			own.msg = slices.Clone(q.msg)
			c.busy.Add(1)
			answers.Go(func() {
				defer c.busy.Add(-1)
				defer sb.end()
				a := sb.ask(ctx, &own, "tcp")
				if a == nil {
					a = failure(&own, &reply{})
				}
				_ = sb.send(c, a) // its reader ends by the same error
			})
			continue
		}
		if answer == nil || sb.send(c, answer) != nil {
			return
		}
	}
}

// read reads one message: the first octet within Idle, the rest within Message,
// however slowly it drips.
func (sb *sandbox) read(c *client, buf *[]byte) ([]byte, error) {
	var head [2]byte
	if err := c.SetReadDeadline(time.Now().Add(sb.limits.Idle)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, head[:1]); err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(sb.limits.Message)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, head[1:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > 4096 { // no query is; a client may not make us hold 64 KiB each
		return nil, fmt.Errorf("a query of %d octets", n)
	}
	if cap(*buf) < n {
		*buf = make([]byte, max(n, udpMin))
	}
	msg := (*buf)[:n]
	_, err := io.ReadFull(c, msg)
	return msg, err
}

// send writes one message whole.
func (sb *sandbox) send(c *client, msg []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(sb.limits.Message)); err != nil {
		return err
	}
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(msg)+2), uint16(len(msg))) // #nosec G115 -- at most tcpMax
	_, err := c.Write(append(framed, msg...))
	if err != nil {
		_ = c.Close() // what follows half a message can't be read
	}
	return err
}

// clients are the open connections of a container.
type clients struct {
	mu   sync.Mutex
	list map[*client]struct{}
}

func (cs *clients) len() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.list)
}

func (cs *clients) add(c *client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.list[c] = struct{}{}
}

func (cs *clients) remove(c *client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.list, c)
	_ = c.Close() // for the second time, where it made room
}

// closeIdlest ends the connection that has been silent longest and waits for no
// answer; false when there is none.
func (cs *clients) closeIdlest() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var idlest *client
	for c := range cs.list {
		if c.busy.Load() == 0 && (idlest == nil || c.last.Load() < idlest.last.Load()) {
			idlest = c
		}
	}
	if idlest == nil {
		return false
	}
	delete(cs.list, idlest)
	_ = idlest.Close() // its reader ends by this
	return true
}

func (cs *clients) closeAll() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.list {
		_ = c.Close() // its reader ends by this
	}
}
