package witness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RuleTrace hears what the kernel tells of the rules that marked packets meet:
// nf_tables' trace, and that of legacy tables where their log goes to programs.
// It marks nothing itself.
type RuleTrace struct{ list []*ruleEar }

// ruleEar are the sockets of one namespace.
type ruleEar struct {
	netns    *snap.Netns
	nft, log int // -1: none
}

// Numbers of include/uapi/linux/netfilter/nfnetlink.h and nfnetlink_log.h.
const (
	groupTrace            = 9 // NFNLGRP_NFTRACE
	ulogConfig            = unix.NFNL_SUBSYS_ULOG<<8 | 1
	ulogPacket            = unix.NFNL_SUBSYS_ULOG << 8
	cfgCmd, cfgMode       = 1, 2
	cfgThreshold          = 5
	cmdBind, copyPacket   = 1, 2
	ulogCopied            = 128
	ruleTraceReceiveBytes = 64 << 10
)

// NewRuleTrace begins to listen in those namespaces. The caller closes it.
func NewRuleTrace(where []*snap.Netns) (*RuleTrace, error) {
	t := &RuleTrace{}
	for _, n := range where {
		e := &ruleEar{netns: n, nft: -1, log: -1}
		t.list = append(t.list, e)
		h, err := ns.Open(n.Path)
		if err == nil {
			if n.Inode != 0 && h.Inode() != n.Inode {
				err = snap.ErrVanished
			} else {
				err = h.Do(e.open)
			}
			_ = h.Close() // the sockets keep the namespace
		}
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("listening to the rules of %s: %w", n.ID, judge(err))
		}
	}
	return t, nil
}

// open opens the sockets in the namespace of the calling thread.
func (e *ruleEar) open() error {
	open := func(groups uint32) (int, error) {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
		if err != nil {
			return -1, err
		}
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			_ = unix.Close(fd) // the error that matters is err
			return -1, err
		}
		return fd, nil
	}
	var err error
	if e.nft, err = open(1 << (groupTrace - 1)); err != nil {
		return err
	}
	if !slices.ContainsFunc(e.netns.Ruleset.Tables, func(t snap.Table) bool { return t.System == snap.IPTablesLegacy }) {
		return nil
	}
	if e.log, err = open(0); err != nil {
		return err
	}
	return e.bindLog()
}

// bindLog asks for the messages of group 0, where the trace of legacy tables
// goes (net/netfilter/nf_log.c:nf_log_trace). The kernel forgets it with the
// socket. PF_BIND is not sent: it would switch the namespace's logger.
func (e *ruleEar) bindLog() error {
	mode := append(binary.BigEndian.AppendUint32(nil, ulogCopied), copyPacket, 0)
	for i, a := range [][]byte{attribute(cfgCmd, []byte{cmdBind}), attribute(cfgMode, mode), attribute(cfgThreshold, binary.BigEndian.AppendUint32(nil, 1))} {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+4+len(a)))
		b = binary.NativeEndian.AppendUint16(b, ulogConfig)
		b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
		b = binary.NativeEndian.AppendUint32(b, uint32(i+1))
		b = append(binary.NativeEndian.AppendUint32(b, 0), unix.AF_UNSPEC, 0, 0, 0)
		if err := unix.Sendto(e.log, append(b, a...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		// The kernel answers while it handles the request.
		buf := make([]byte, 256)
		n, _, err := unix.Recvfrom(e.log, buf, 0)
		if err != nil {
			return err
		}
		if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR {
			return errors.New("the kernel's answer is malformed")
		}
		if c := int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); c != 0 {
			if e := unix.Errno(-c); e != unix.EBUSY {
				return e
			}
			return fmt.Errorf("another program reads log group 0: %w", unix.EBUSY)
		}
	}
	return nil
}

// attribute is one netlink attribute, padded.
func attribute(typ uint16, v []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(v)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Read gives what was told so far of the question with that source port, or
// echo id, and of the answer to it, namespace by namespace. An error says that
// something is missing.
func (t *RuleTrace) Read(port uint16) ([]snap.Ruled, error) {
	var out []snap.Ruled
	var errs []error
	for _, e := range t.list {
		l := &ruleLines{netns: e.netns, port: port, answers: map[uint32]bool{}}
		errs = append(errs, drain(e.nft, func(typ uint16, family uint8, attrs []byte) {
			if typ == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE {
				l.nft(family, attrs)
			}
		}))
		if e.log >= 0 {
			errs = append(errs, drain(e.log, func(typ uint16, family uint8, attrs []byte) {
				if typ == ulogPacket {
					l.legacy(firewall.FamilyOf(family), attrs)
				}
			}))
		}
		out = append(out, l.out...)
	}
	return out, errors.Join(errs...)
}

// drain reads all that has come.
func drain(fd int, each func(typ uint16, family uint8, attrs []byte)) error {
	buf := make([]byte, ruleTraceReceiveBytes)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("reading the trace of rules: %w", err)
		}
		for b := buf[:n]; len(b) >= unix.SizeofNlMsghdr+4; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.SizeofNlMsghdr+4 || size > len(b) {
				break
			}
			each(binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr], b[unix.SizeofNlMsghdr+4:size])
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// Close ends it.
func (t *RuleTrace) Close() {
	for _, e := range t.list {
		for _, fd := range []int{e.nft, e.log} {
			if fd >= 0 {
				_ = unix.Close(fd) // only read
			}
		}
	}
}
