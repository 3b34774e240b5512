package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// extErr is one entry of a socket's error queue: struct sock_extended_err of
// linux/errqueue.h, the sender of the ICMP error behind it, and the packet of
// ours that it quotes.
type extErr struct {
	errno  unix.Errno
	origin uint8 // SO_EE_ORIGIN_LOCAL, _ICMP, _ICMP6
	typ    uint8
	code   uint8
	info   uint32 // MTU of "fragmentation needed"
	by     netip.Addr
	quoted []byte         // from our transport header (raw) or payload (UDP) on
	dst    netip.AddrPort // that our packet was sent to
}

// readErr takes one entry from the error queue; ok is false when it is empty.
func readErr(fd int) (e extErr, ok bool) {
	buf, oob := make([]byte, 512), make([]byte, 512)
	n, oobn, _, from, err := unix.Recvmsg(fd, buf, oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return extErr{}, false
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return extErr{}, false
	}
	for _, m := range msgs {
		v4 := m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !v4 && !v6 {
			continue
		}
		if e, ok := parseExtErr(m.Data); ok {
			e.quoted, e.dst = buf[:n], addrPort(from)
			return e, true
		}
	}
	return extErr{}, false
}

// parseExtErr decodes struct sock_extended_err and the sockaddr of
// SO_EE_OFFENDER behind it.
func parseExtErr(b []byte) (extErr, bool) {
	if len(b) < 16 {
		return extErr{}, false
	}
	e := extErr{
		errno: unix.Errno(binary.NativeEndian.Uint32(b)), origin: b[4], typ: b[5], code: b[6],
		info: binary.NativeEndian.Uint32(b[8:]),
	}
	if sa := b[16:]; len(sa) >= 8 {
		switch fam := binary.NativeEndian.Uint16(sa); {
		case fam == unix.AF_INET:
			e.by = netip.AddrFrom4([4]byte(sa[4:8]))
		case fam == unix.AF_INET6 && len(sa) >= 24:
			e.by = netip.AddrFrom16([16]byte(sa[8:24])).Unmap()
		}
	}
	return e, true
}

func (e extErr) icmp() bool {
	return e.origin == unix.SO_EE_ORIGIN_ICMP || e.origin == unix.SO_EE_ORIGIN_ICMP6
}

// portUnreachable: RFC 792 type 3 code 3, RFC 4443 type 1 code 4.
func (e extErr) portUnreachable() bool {
	return e.origin == unix.SO_EE_ORIGIN_ICMP && e.typ == 3 && e.code == 3 ||
		e.origin == unix.SO_EE_ORIGIN_ICMP6 && e.typ == 1 && e.code == 4
}

// hostUnreachable: type 3 code 1, and ICMPv6's "address unreachable".
func (e extErr) hostUnreachable() bool {
	return e.origin == unix.SO_EE_ORIGIN_ICMP && e.typ == 3 && e.code == 1 ||
		e.origin == unix.SO_EE_ORIGIN_ICMP6 && e.typ == 1 && e.code == 3
}

// verdict turns an error report into an outcome. A stack whose port is closed
// answers UDP by port unreachable, and TCP by a reset; an ICMP error to a SYN
// or an echo is always somebody's refusal to deliver it.
func (e extErr) verdict(r snap.Probe) snap.Probe {
	r.Errno = unix.ErrnoName(e.errno)
	if !e.icmp() {
		r.Outcome = snap.Unroutable
		if e.errno == unix.EMSGSIZE && e.info != 0 {
			r.Detail = fmt.Sprintf("too big for its own device: MTU %d", e.info)
		}
		return r
	}
	r.By, r.ICMP = e.by, &snap.ICMPInfo{Type: e.typ, Code: e.code}
	if e.errno == unix.EMSGSIZE {
		r.ICMP.MTU = int(e.info)
	}
	self := r.Src.Addr().IsValid() && e.by == r.Src.Addr() && e.by != r.Dst.Addr()
	switch {
	case self && e.hostUnreachable():
		// net/ipv4/route.c:ipv4_link_failure sends it to the sender itself.
		r.Outcome = snap.Unroutable
		r.Detail = "host unreachable, says the sender's own stack: no neighbour answered (or its own firewall rejects so)"
	case self:
		r.Outcome, r.Detail = snap.Rejected, "rejected inside the sender's own namespace"
	case e.portUnreachable() && e.by == r.Dst.Addr() && (r.Kind == "udp" || r.Kind == "dns" && (r.DNS == nil || !r.DNS.TCP)):
		r.Outcome = snap.Refused
	default:
		r.Outcome = snap.Rejected
	}
	return r
}

// sendErr judges the errno of a send or connect that failed at once.
func sendErr(r snap.Probe, err error) snap.Probe {
	r.Errno = errnoName(err)
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETDOWN),
		errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.EACCES), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENODEV):
		r.Outcome = snap.Unroutable // EINVAL: a blackhole route; EACCES: a prohibit one
		r.Detail = "its own stack does not send it: " + err.Error()
	case errors.Is(err, unix.EPERM):
		r.Outcome = snap.Unroutable // nf_hook_slow's NF_DROP comes back as EPERM
		r.Detail = "the firewall of its own namespace drops it on output"
	case errors.Is(err, unix.EMSGSIZE):
		r.Outcome, r.Detail = snap.Unroutable, "too big for its own device"
	case errors.Is(err, unix.ENOBUFS): // net_xmit_errno of what ndo_start_xmit, or the queue, dropped
		r.Outcome, r.Detail = snap.Unroutable, "its own device, or the queue before it, dropped it"
	case errors.Is(err, unix.ECONNREFUSED):
		r.Outcome = snap.Refused
	default:
		r = fail(r, err)
	}
	return r
}
