package ns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Capabilities tries each thing that reading and probing may need, one by one
// and without changing anything: what is in /proc/self/status is no promise, as
// seccomp, user namespaces and security modules take parts away.
func Capabilities() []Capability {
	list := []struct {
		Capability
		try func() error
	}{
		{Capability{Name: "enter namespaces", For: "reading containers", Needs: "CAP_SYS_ADMIN"}, tryEnter},
		{Capability{Name: "see namespaces of other processes", For: "finding containers", Needs: "CAP_SYS_PTRACE"}, trySeeOthers},
		{Capability{Name: "administer the network", For: "reading rule sets, changing anything", Needs: "CAP_NET_ADMIN"}, tryNetAdmin},
		{Capability{Name: "raw sockets", For: "ping and hand-made probes", Needs: "CAP_NET_RAW"}, tryRaw},
		{Capability{Name: "packet sockets", For: "ARP probes and captures", Needs: "CAP_NET_RAW"}, tryPacket},
		{Capability{Name: "read bpf programs", For: "naming XDP and tc programs", Needs: "CAP_SYS_ADMIN"}, tryBPFList},
		{Capability{Name: "load bpf programs", For: "watching where packets are dropped", Needs: "CAP_BPF and CAP_PERFMON"}, tryBPFLoad},
		{Capability{Name: "nf_tables", For: "reading and writing nftables rules", Needs: "nf_tables in the kernel, and CAP_NET_ADMIN"}, tryNFTables},
	}
	out := make([]Capability, len(list))
	for i, c := range list {
		out[i] = c.Capability
		if err := c.try(); err != nil {
			out[i].Why = err.Error()
		} else {
			out[i].OK = true
		}
	}
	return out
}

// tryEnter enters our own namespace once more, which takes what entering another does
// (net/core/net_namespace.c: netns_install). Handle.Do would take the refusal for nothing.
func tryEnter() error {
	h, err := Self()
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- unix.Setns(h.fd, unix.CLONE_NEWNET)
	}()
	return <-done
}

// trySeeOthers looks at every process until one refuses.
func trySeeOthers() error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		_, err := os.Readlink("/proc/" + e.Name() + "/ns/net")
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("process %s: %w", e.Name(), err)
		}
	}
	return nil
}

// tryNetAdmin uses SO_RCVBUFFORCE on a socket of our own, which takes
// CAP_NET_ADMIN (net/core/sock.c) and touches nothing else.
func tryNetAdmin() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<10)
}

func tryRaw() error { return trySocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }

// tryPacket asks for protocol 0: such a socket receives nothing.
func tryPacket() error { return trySocket(unix.AF_PACKET, unix.SOCK_DGRAM, 0) }

func trySocket(domain, typ, proto int) error {
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func tryBPFList() error {
	if _, err := ebpf.ProgramGetNextID(0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func tryBPFLoad() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.RawTracepoint,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	return p.Close()
}

// tryNFTables asks for the generation of the rule set (NFT_MSG_GETGEN).
func tryNFTables() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	tv := unix.Timeval{Sec: 1}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	const getGen = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN
	msg := []byte{
		20, 0, 0, 0, getGen & 0xff, getGen >> 8, unix.NLM_F_REQUEST, 0, 1, 0, 0, 0, 0, 0, 0, 0, // nlmsghdr
		unix.AF_UNSPEC, 0, 0, 0, // nfgenmsg
	}
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	switch {
	case err != nil:
		return err
	case n < 20:
		return errors.New("answer of nf_tables is too short")
	case buf[4] == unix.NLMSG_ERROR && buf[5] == 0:
		errno := -int32(uint32(buf[16]) | uint32(buf[17])<<8 | uint32(buf[18])<<16 | uint32(buf[19])<<24)
		if errno != 0 {
			return unix.Errno(errno)
		}
	}
	return nil
}
