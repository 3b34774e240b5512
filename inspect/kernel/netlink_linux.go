package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	// dumpBuffer is one read. The kernel fills up to 32 KiB of it per message
	// batch once it has seen a buffer that large (af_netlink.c:max_recvmsg_len).
	dumpBuffer = 64 << 10
	// dumpTries is how often a dump is begun anew when the table changed
	// under it: on a host with 40 changes a second three were enough.
	dumpTries = 6
	// answerSeconds is how long the kernel may take for one answer; it needs
	// microseconds, unless somebody holds the lock of the table.
	answerSeconds = 5
	nlmsgHdrLen   = 16
)

// requester is one netlink socket and its buffer. It belongs to the namespace
// that it was opened in, whatever thread uses it.
type requester struct {
	fd   int
	seq  uint32
	buf  []byte
	torn int // dumps that were begun anew
}

// message is one netlink message, valid until the next read.
type message struct {
	typ   uint16
	flags uint16
	data  []byte
}

// dial opens a netlink socket in the namespace of the calling thread. buf is
// what it reads into, nil for one of its own; requesters that are not used at
// the same time may share one.
func dial(proto int, buf []byte) (*requester, error) {
	if buf == nil {
		buf = make([]byte, dumpBuffer)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return nil, NetlinkError("opening a netlink socket", err)
	}
	// Without these three everything still works, only slower or with less
	// words in errors, so their failure is no error.
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds})
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	return &requester{fd: fd, buf: buf}, nil
}

func (r *requester) close() { _ = unix.Close(r.fd) }

// cookie is SO_NETNS_COOKIE of the namespace (since Linux 5.14); 0 before.
func (r *requester) cookie() uint64 {
	c, err := unix.GetsockoptUint64(r.fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return c
}

// send writes one request; body follows the netlink header.
func (r *requester) send(typ, flags uint16, body []byte) error {
	r.seq++
	msg := make([]byte, nlmsgHdrLen, nlmsgHdrLen+len(body)+4)
	binary.NativeEndian.PutUint32(msg, uint32(nlmsgHdrLen+len(body)))
	binary.NativeEndian.PutUint16(msg[4:], typ)
	binary.NativeEndian.PutUint16(msg[6:], flags|unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(msg[8:], r.seq)
	msg = append(msg, body...)
	for {
		err := unix.Sendto(r.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads one datagram and calls each for the messages of the last
// request. It returns true at the end of a dump or after a single answer.
func (r *requester) receive(each func(message) error) (done bool, err error) {
	n, err := r.recv()
	if err != nil {
		return true, err
	}
	b := r.buf[:n]
	for len(b) >= nlmsgHdrLen {
		size := int(binary.NativeEndian.Uint32(b))
		if size < nlmsgHdrLen || size > len(b) {
			return true, fmt.Errorf("netlink message of %d bytes in %d: %w", size, len(b), snap.ErrTorn)
		}
		m := message{
			typ:   binary.NativeEndian.Uint16(b[4:]),
			flags: binary.NativeEndian.Uint16(b[6:]),
			data:  b[nlmsgHdrLen:size],
		}
		seq := binary.NativeEndian.Uint32(b[8:])
		b = b[min(len(b), (size+3)&^3):]
		if seq != r.seq {
			continue // left over from a dump that was given up
		}
		switch m.typ {
		case unix.NLMSG_DONE:
			if errno := intOf(m.data); errno < 0 {
				return true, unix.Errno(-errno)
			}
			if m.flags&unix.NLM_F_DUMP_INTR != 0 {
				return true, errInterrupted
			}
			return true, nil
		case unix.NLMSG_ERROR:
			if errno := intOf(m.data); errno != 0 {
				return true, unix.Errno(-errno)
			}
			return true, nil
		case unix.NLMSG_NOOP, unix.NLMSG_OVERRUN:
			continue
		}
		if m.flags&unix.NLM_F_DUMP_INTR != 0 {
			err = errInterrupted // read on: the rest must leave the socket
		}
		if err == nil {
			if err = each(m); err != nil && !errors.Is(err, errInterrupted) {
				return true, err
			}
		}
		if m.flags&unix.NLM_F_MULTI == 0 {
			done = true
		}
	}
	return done, err
}

func (r *requester) recv() (int, error) {
	for {
		n, _, flags, _, err := unix.Recvmsg(r.fd, r.buf, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, fmt.Errorf("no answer within %d s: %w", answerSeconds, snap.ErrTimeout)
		case err != nil:
			return 0, err
		case flags&unix.MSG_TRUNC != 0:
			return 0, fmt.Errorf("netlink message over %d bytes: %w", len(r.buf), snap.ErrLimit)
		}
		return n, nil
	}
}

// errInterrupted is NLM_F_DUMP_INTR: the table changed while it was dumped.
var errInterrupted = fmt.Errorf("dump interrupted: %w", snap.ErrTorn)

// dump asks for a whole table. reset is called before each try, then each for
// every message. When the table never held still the error is snap.ErrTorn, and
// what the last try gave stays.
func (r *requester) dump(ctx context.Context, what string, typ uint16, body []byte, reset func(), each func(message)) error {
	var err error
	for range dumpTries {
		if ctx.Err() != nil {
			return fmt.Errorf("reading %s: %w", what, snap.ErrTimeout)
		}
		reset()
		if err = r.dumpOnce(typ, body, each); err == nil {
			return nil
		}
		if !errors.Is(err, errInterrupted) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EBUSY) {
			break
		}
		r.torn++
	}
	return NetlinkError("reading "+what, err)
}

func (r *requester) dumpOnce(typ uint16, body []byte, each func(message)) error {
	if err := r.send(typ, unix.NLM_F_DUMP, body); err != nil {
		return err
	}
	var interrupted bool
	for {
		done, err := r.receive(func(m message) error { each(m); return nil })
		if errors.Is(err, errInterrupted) {
			interrupted, err = true, nil
		}
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	if interrupted {
		return errInterrupted
	}
	return nil
}

// ask sends one question and returns the first message of the answer, a copy.
func (r *requester) ask(typ uint16, body []byte) (message, error) {
	if err := r.send(typ, 0, body); err != nil {
		return message{}, err
	}
	var got *message
	for {
		done, err := r.receive(func(m message) error {
			if got == nil {
				m.data = append([]byte(nil), m.data...)
				got = &m
			}
			return nil
		})
		if err != nil {
			return message{}, err
		}
		if got != nil {
			return *got, nil
		}
		if done {
			return message{}, fmt.Errorf("empty answer: %w", snap.ErrNotFound)
		}
	}
}

// NetlinkError folds errors of the kernel into snap's kinds.
func NetlinkError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return snap.Hint(snap.As(snap.ErrPermission, what, err), ns.NeedRoot("CAP_NET_ADMIN"))
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return snap.As(snap.ErrUnsupported, what, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENODEV):
		return snap.As(snap.ErrNotFound, what, err)
	case errors.Is(err, unix.ENOBUFS):
		return snap.As(snap.ErrTorn, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// body makes the fixed part of a request of n bytes with the family first.
func body(n int, family uint8) []byte {
	b := make([]byte, n)
	b[0] = family
	return b
}

// put appends an attribute.
func put(b []byte, typ uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func putU32(b []byte, typ uint16, v uint32) []byte {
	return put(b, typ, binary.NativeEndian.AppendUint32(nil, v))
}
