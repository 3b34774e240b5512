package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nfSocket is a NETLINK_NETFILTER socket for dumps. It belongs to the
// namespace that it was opened in. It is not safe for concurrent use.
//
// What is decoded keeps pointing into the answer, which holds up to 32 KiB of
// rules: 50,000 of them cost a few hundred allocations of bytes, not one each.
type nfSocket struct {
	fd  int
	seq uint32
	buf *[nfReceiveBytes]byte // of nfBuffers; nil after close
	// torn counts dumps that the kernel said to have been disturbed.
	torn int
}

const (
	// The kernel fills at most 32 KiB into one message of a dump
	// (net/netlink/af_netlink.c:netlink_dump), if the reader has shown that it
	// takes as much. A page-sized buffer makes a large dump 7 to 10 times slower,
	// as a rule dump resumes by counting from the start.
	nfReceiveBytes = 64 << 10
	// nfStallTime is how long one answer of the kernel may take: it is made
	// while the request is handled, so more means that something is wrong.
	nfStallTime = 5 * time.Second
)

// nfBuffers are for what is received: at most as many as sockets are open at once.
var nfBuffers = sync.Pool{New: func() any { return new([nfReceiveBytes]byte) }}

// openNF opens a socket in the namespace of the calling thread.
func openNF() (*nfSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, nfError("opening a netfilter socket", err)
	}
	s := &nfSocket{fd: fd, buf: nfBuffers.Get().(*[nfReceiveBytes]byte)}
	tv := unix.NsecToTimeval(nfStallTime.Nanoseconds())
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
	); err != nil {
		s.close()
		return nil, nfError("opening a netfilter socket", err)
	}
	// A hint only: without it the default buffer does as well, since the kernel
	// waits for the reader during a dump.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	return s, nil
}

func (s *nfSocket) close() {
	_ = unix.Close(s.fd) // nothing was written that could be lost
	nfBuffers.Put(s.buf)
	s.buf = nil
}

// nfError gives an error of a system call or of the kernel's answer snap's kind.
func nfError(what string, err error) error {
	kind := error(nil)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return snap.Hint(snap.As(snap.ErrPermission, what, err), ns.NeedRoot("CAP_NET_ADMIN in that namespace"))
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		kind = snap.ErrVanished
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOPROTOOPT):
		kind = snap.ErrUnsupported
	case errors.Is(err, unix.EAGAIN):
		kind = snap.ErrTimeout
	}
	if kind != nil {
		return snap.As(kind, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// nfMessage is one message of an answer: the nfgenmsg's family and what
// follows it.
type nfMessage struct {
	typ    uint16
	family uint8
	attrs  []byte
}

// errEnough tells dump to leave the rest of the answer unread.
var errEnough = errors.New("enough")

// request sends one message: typ is subsystem<<8 | message, attrs the
// attributes behind the nfgenmsg.
func (s *nfSocket) request(typ uint16, family uint8, flags uint16, attrs []byte) error {
	s.seq++
	b := make([]byte, 0, 64+len(attrs))
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+4+len(attrs)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, s.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, family, 0, 0, 0) // nfgenmsg: family, NFNETLINK_V0, resource id
	b = append(b, attrs...)
	return unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// ask sends a request and calls f for each message of the answer. With
// NLM_F_DUMP in flags the answer ends with NLMSG_DONE, without it with the
// first message. The error of f ends the calls, not the reading: the next
// request needs an empty socket. A dump that was disturbed is snap.ErrTorn.
func (s *nfSocket) ask(ctx context.Context, typ uint16, family uint8, flags uint16, attrs []byte, f func(nfMessage) error) error {
	if err := s.request(typ, family, flags, attrs); err != nil {
		return err
	}
	var stop error
	torn := false
	for {
		if err := ctx.Err(); err != nil {
			return snap.As(snap.ErrTimeout, "", err)
		}
		b, err := s.receive(stop == nil)
		if err != nil {
			return err
		}
		for len(b) > 0 {
			m, rest, ok := nextMessage(b)
			if !ok {
				return errors.New("the kernel's answer is cut off")
			}
			b = rest
			if m.seq != s.seq {
				continue // of an earlier request that was given up
			}
			torn = torn || m.flags&unix.NLM_F_DUMP_INTR != 0
			switch m.typ {
			case unix.NLMSG_NOOP:
				continue
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				if err := m.errno(); err != nil {
					return err
				}
				return s.finish(stop, torn)
			}
			if stop == nil && len(m.data) >= 4 {
				stop = f(nfMessage{m.typ, m.data[0], m.data[4:]})
			}
			if flags&unix.NLM_F_DUMP != unix.NLM_F_DUMP {
				return s.finish(stop, torn)
			}
		}
	}
}

// finish gives the error of a whole answer.
func (s *nfSocket) finish(stop error, torn bool) error {
	if stop != nil && !errors.Is(stop, errEnough) {
		return stop
	}
	if torn {
		s.torn++
		return snap.ErrTorn
	}
	return nil
}

// receive gives the next datagram; with keep the bytes stay valid, as a copy of
// their own length, else only until the next call. What is read of a namespace
// refers to them for as long as the snapshot lives, and there may be a thousand
// of those with a rule or two each.
func (s *nfSocket) receive(keep bool) ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf[:], unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n > nfReceiveBytes {
			return nil, fmt.Errorf("an answer of %d bytes does not fit: %w", n, snap.ErrLimit)
		}
		if keep {
			return bytes.Clone(s.buf[:n]), nil
		}
		return s.buf[:n], nil
	}
}

// rawMessage is one netlink message.
type rawMessage struct {
	typ, flags uint16
	seq        uint32
	data       []byte
}

func nextMessage(b []byte) (m rawMessage, rest []byte, ok bool) {
	if len(b) < unix.SizeofNlMsghdr {
		return m, nil, false
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < unix.SizeofNlMsghdr || n > len(b) {
		return m, nil, false
	}
	m = rawMessage{
		typ: binary.NativeEndian.Uint16(b[4:]), flags: binary.NativeEndian.Uint16(b[6:]),
		seq: binary.NativeEndian.Uint32(b[8:]), data: b[unix.SizeofNlMsghdr:n:n],
	}
	return m, b[min((n+3)&^3, len(b)):], true
}

// errno is the error in an NLMSG_ERROR or NLMSG_DONE; nil for an acknowledgement.
func (m rawMessage) errno() error {
	if len(m.data) < 4 {
		return nil
	}
	if n := int32(binary.NativeEndian.Uint32(m.data)); n < 0 {
		return unix.Errno(-n)
	}
	return nil
}

// appendString adds an attribute that holds a zero-terminated string.
func appendString(b []byte, typ uint16, s string) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(s)+1))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(append(b, s...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
