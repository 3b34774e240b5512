package apply

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// conn is one netlink socket. It belongs to the namespace that it was opened in.
type conn struct {
	fd  int
	seq uint32
	buf []byte
}

// answerSeconds is how long the kernel may take; it works while it is asked.
const answerSeconds = 10

// Acknowledgements come one by one, and small; of a dump as much comes in one
// answer as the kernel finds room for (af_netlink.c: netlink_dump).
const ackBuffer, answerBuffer = 4 << 10, 64 << 10

// dial opens a socket inside a namespace.
func dial(h *ns.Handle, proto int) (*conn, error) {
	var c *conn
	err := h.Do(func() (err error) {
		c, err = dialHere(proto)
		return err
	})
	return c, err
}

// dialHere opens a socket in the namespace of the calling thread.
func dialHere(proto int) (*conn, error) {
	c := &conn{fd: -1, buf: make([]byte, ackBuffer)}
	var err error
	c.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err == nil {
		err = unix.Bind(c.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		if c.fd >= 0 {
			c.close()
		}
		return nil, kernel.NetlinkError("opening a netlink socket", err)
	}
	// Without these everything still works, with fewer words in errors.
	_ = unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds})
	_ = unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return c, nil
}

func (c *conn) close() { _ = unix.Close(c.fd) } // every request was acknowledged

// kernelError is an answer of the kernel, with its own words where it has some
// (NLMSGERR_ATTR_MSG).
type kernelError struct {
	errno unix.Errno
	msg   string
}

func (e *kernelError) Error() string {
	if e.msg != "" {
		return e.errno.Error() + ": " + e.msg
	}
	return e.errno.Error()
}

func (e *kernelError) Unwrap() error { return e.errno }

// message makes one netlink message.
func (c *conn) message(typ, flags uint16, body []byte) []byte {
	c.seq++
	b := make([]byte, 0, unix.SizeofNlMsghdr+len(body)+4)
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, c.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, body...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (c *conn) send(b []byte) error {
	for {
		err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// do sends one change and waits for its acknowledgement.
func (c *conn) do(typ, flags uint16, body []byte) error {
	if err := c.send(c.message(typ, flags|unix.NLM_F_ACK, body)); err != nil {
		return err
	}
	return c.acks(c.seq, 1, nil)
}

// dump sends a question and calls each for every message of the answer.
func (c *conn) dump(typ uint16, body []byte, each func([]byte)) error {
	if err := c.send(c.message(typ, unix.NLM_F_DUMP, body)); err != nil {
		return err
	}
	return c.acks(c.seq, 1, each)
}

// acks reads answers until n messages with sequence numbers from first on are
// acknowledged; the first error ends it.
func (c *conn) acks(first uint32, n int, each func([]byte)) error {
	if each != nil && len(c.buf) < answerBuffer {
		c.buf = make([]byte, answerBuffer)
	}
	for n > 0 {
		got, _, err := unix.Recvfrom(c.fd, c.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("no answer of the kernel within %d s: %w", answerSeconds, snap.ErrTimeout)
		case err != nil:
			return err
		}
		for b := c.buf[:got]; len(b) >= unix.SizeofNlMsghdr; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.SizeofNlMsghdr || size > len(b) {
				return fmt.Errorf("netlink message of %d bytes in %d: %w", size, len(b), snap.ErrTorn)
			}
			typ, flags, seq := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint32(b[8:])
			data := b[unix.SizeofNlMsghdr:size]
			b = b[min(len(b), (size+3)&^3):]
			switch {
			case seq < first:
			case typ == unix.NLMSG_ERROR:
				if err := ackError(data, flags); err != nil {
					return err
				}
				n--
			case typ == unix.NLMSG_DONE:
				n--
			case each != nil:
				each(data)
			}
		}
	}
	return nil
}

// ackError reads struct nlmsgerr and, behind the echoed header, its attributes.
func ackError(b []byte, flags uint16) error {
	if len(b) < 4 {
		return fmt.Errorf("cut acknowledgement: %w", snap.ErrTorn)
	}
	errno := int32(binary.NativeEndian.Uint32(b))
	if errno == 0 {
		return nil
	}
	e := &kernelError{errno: unix.Errno(-errno)}
	if at := 4 + unix.SizeofNlMsghdr; flags&unix.NLM_F_ACK_TLVS != 0 && len(b) >= at {
		if flags&unix.NLM_F_CAPPED == 0 {
			at = 4 + int(binary.NativeEndian.Uint32(b[4:]))
		}
		for at+4 <= len(b) {
			n, typ := int(binary.NativeEndian.Uint16(b[at:])), binary.NativeEndian.Uint16(b[at+2:])
			if n < 4 || at+n > len(b) {
				break
			}
			if typ == unix.NLMSGERR_ATTR_MSG {
				e.msg = unix.ByteSliceToString(b[at+4 : at+n])
			}
			at += (n + 3) &^ 3
		}
	}
	return e
}

// attrs builds the attributes of a message.
type attrs []byte

func (a *attrs) bytes(typ uint16, v []byte) {
	b := binary.NativeEndian.AppendUint16(*a, uint16(4+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	*a = b
}

func (a *attrs) u8(typ uint16, v uint8)   { a.bytes(typ, []byte{v}) }
func (a *attrs) u16(typ uint16, v uint16) { a.bytes(typ, binary.NativeEndian.AppendUint16(nil, v)) }

func (a *attrs) u32(typ uint16, v uint32)  { a.bytes(typ, binary.NativeEndian.AppendUint32(nil, v)) }
func (a *attrs) be16(typ uint16, v uint16) { a.bytes(typ, binary.BigEndian.AppendUint16(nil, v)) }
func (a *attrs) be32(typ uint16, v uint32) { a.bytes(typ, binary.BigEndian.AppendUint32(nil, v)) }
func (a *attrs) be64(typ uint16, v uint64) { a.bytes(typ, binary.BigEndian.AppendUint64(nil, v)) }
func (a *attrs) str(typ uint16, v string)  { a.bytes(typ, append([]byte(v), 0)) }

// nested adds attributes inside one.
func (a *attrs) nested(typ uint16, f func(*attrs)) {
	var in attrs
	f(&in)
	a.bytes(typ|unix.NLA_F_NESTED, in)
}

// connKey is a namespace and a netlink protocol.
type connKey struct {
	id    string
	proto int
}

// conn is the machine's socket for a namespace; it is opened once.
func (m *machine) conn(ctx context.Context, w fixups.Where, proto int) (*conn, error) {
	key := connKey{w.ID, proto}
	if w.Host {
		key.id = m.base.Host.Netns
	}
	if c := m.conns[key]; c != nil {
		return c, nil
	}
	h, err := m.handle(ctx, w)
	if err != nil {
		return nil, err
	}
	c, err := dial(h, proto)
	if err != nil {
		return nil, err
	}
	if m.conns == nil {
		m.conns = map[connKey]*conn{}
	}
	m.conns[key] = c
	return c, nil
}

// drop closes what is open of a namespace.
func (m *machine) drop(id string) {
	for k, c := range m.conns {
		if k.id == id {
			c.close()
			delete(m.conns, k)
		}
	}
	if h := m.handles[id]; h != nil {
		_ = h.Close() // only a descriptor
		delete(m.handles, id)
		delete(m.rooms, id)
	}
	if id != m.base.Host.Netns {
		m.base.Netns = snap.Without(m.base.Netns, func(n snap.Netns) bool { return n.ID == id })
	}
}

// route sends one change over rtnetlink, inside a namespace.
func (m *machine) route(ctx context.Context, w fixups.Where, typ, flags uint16, body []byte) error {
	c, err := m.conn(ctx, w, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	return kernel.NetlinkError("changing "+w.ID, c.do(typ, flags, body))
}
