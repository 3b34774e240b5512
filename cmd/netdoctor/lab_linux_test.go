package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diff"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// asProgram makes the test binary the program itself.
const asProgram = "ND_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run())
	}
	lab.Child()
	flag.Parse()
	os.Exit(m.Run())
}

// netdoctor is the program as a process of its own.
func netdoctor(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// state reads the lab.
func state(t *testing.T) *snap.Snapshot {
	t.Helper()
	s, err := inspect.Read(t.Context(), inspect.Options{Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// changes are the differences between two states in words.
func changes(a, b *snap.Snapshot) []string {
	var out []string
	for _, c := range diff.Of(a, b) {
		out = append(out, strings.TrimSpace(c.Netns+" "+c.Text))
	}
	return out
}

// marked says whether the table that marks packets is in the host's namespace.
func marked(s *snap.Snapshot) bool {
	for i := range s.Netns {
		for j := range s.Netns[i].Ruleset.Tables {
			if s.Netns[i].Ruleset.Tables[j].Name == fixups.TraceTable {
				return true
			}
		}
	}
	return false
}

// A trace that is killed leaves nothing behind that the next run does not take
// away, nor one that undo does not.
func TestAKilledTraceLeavesNothing(t *testing.T) {
	if !lab.Alone(t) {
		return
	}
	lab.New(t, lab.Default())
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	trace := []string{"trace", "report", "172.20.0.13:5432", "--trace-rules"}
	before := state(t)
	begin := time.Now()
	if out, err := netdoctor(ctx, trace...).CombinedOutput(); err == nil || !strings.Contains(string(out), "the kernel's own trace names that rule") {
		t.Fatalf("%v\n%s", err, out)
	}
	whole := time.Since(begin)
	if d := changes(before, state(t)); len(d) > 0 {
		t.Fatalf("a trace that ended left\n%s", strings.Join(d, "\n"))
	}
	kill := func(when func() bool) {
		t.Helper()
		cmd := netdoctor(ctx, trace...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for !when() && ctx.Err() == nil {
		}
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}
	gone := func(what string, args ...string) {
		t.Helper()
		out, err := netdoctor(ctx, args...).CombinedOutput()
		if d := changes(before, state(t)); len(d) > 0 {
			t.Errorf("%s: after %s (%v) there is still\n%s\n%s", what, strings.Join(args, " "), err, strings.Join(d, "\n"), out)
		}
	}
	// As soon as there is something that would stay behind.
	for _, next := range [][]string{{"trace", "client", "172.20.0.13:5432"}, {"check"}, {"undo"}} {
		left := false
		for try := 0; try < 20 && !left; try++ { // it is there for some milliseconds
			kill(func() bool { return hasTable(t, before.HostNs()) })
			left = marked(state(t))
		}
		if !left {
			t.Fatal("no kill hit the moment in which something was there")
		}
		gone("killed while the rules were traced", next...)
	}
	// At any other time.
	const moments = 8
	for i := range moments {
		end := time.Now().Add(whole * time.Duration(i+1) / moments)
		kill(func() bool { return !time.Now().Before(end) })
		gone(fmt.Sprintf("killed at %d/%d of the run", i+1, moments), "trace", "client", "172.20.0.13:5432")
	}
}

// hasTable asks the kernel for the one table.
func hasTable(t *testing.T, n *snap.Netns) bool {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	name := append([]byte(fixups.TraceTable), 0)
	attr := binary.NativeEndian.AppendUint16(nil, uint16(4+len(name)))
	attr = append(binary.NativeEndian.AppendUint16(attr, 1), name...)
	for len(attr)%4 != 0 {
		attr = append(attr, 0)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(20+len(attr)))
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0) // sequence, port; family inet
	if err := unix.Sendto(fd, append(b, attr...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	m, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m >= 16 && binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR
}

// capture are packet sockets in all namespaces, each for all devices.
type capture map[string]int

func newCapture(t *testing.T, s *snap.Snapshot) capture {
	t.Helper()
	c := capture{}
	for i := range s.Netns {
		n := &s.Netns[i]
		if !n.Class.Ours() { // another program's, which is also found
			continue
		}
		h, err := ns.Open(n.Path)
		if errors.Is(err, snap.ErrNotFound) || errors.Is(err, snap.ErrVanished) {
			continue // of a process of this machine that has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		err = h.Do(func() error {
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})))
			c[n.ID] = fd
			return err
		})
		_ = h.Close() // the socket keeps the namespace
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(c[n.ID]) }) // only a test's
	}
	return c
}

// packets are those since the last call, in words. What the kernel itself sends
// on every device, asked or not, is left out: IPv6's neighbour and router
// discovery, and reports of multicast listeners (RFC 4861, RFC 3810, RFC 3376).
func (c capture) packets(t *testing.T) []string {
	t.Helper()
	var out []string
	buf := make([]byte, 2048)
	for id, fd := range c {
		for {
			n, from, err := unix.Recvfrom(fd, buf, 0)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b := buf[:n]
			if n >= 20 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_IGMP {
				continue
			}
			if n >= 48 && b[0]>>4 == 6 && (b[6] == 58 && b[40] >= 133 || b[6] == 0 && bytes.Contains(b[40:], []byte{5, 2, 0, 0})) {
				continue
			}
			at, _ := from.(*unix.SockaddrLinklayer)
			out = append(out, fmt.Sprintf("%s device %d protocol %#x: % x", id, at.Ifindex, at.Protocol, b[:min(n, 40)]))
		}
	}
	return out
}

// --no-probe sends nothing: packet sockets on every device of every namespace
// stay empty, and do not when it is left out.
func TestNoProbeSendsNothing(t *testing.T) {
	if !lab.Alone(t) {
		return
	}
	lab.New(t, lab.Default())
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	before := state(t)
	c := newCapture(t, before)
	_ = c.packets(t) // of building the lab
	for _, args := range [][]string{
		{"check"},
		{"trace", "client", "db:5432"},
		{"trace", "report", "172.20.0.13:5432"},
		{"trace", "client"},
		{"dns", "db", "--from", "client"},
		{"probe", "client", "db:5432"},
		{"probe", "--all"},
		{"fix", "--dry-run"},
		{"map"},
		{"ls"},
		{"report", "-o", os.DevNull, "--force"},
		{"watch", "--for", "200ms"},
	} {
		out, err := netdoctor(ctx, append(args, "--no-probe")...).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 2) {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if diff := cmp.Diff([]string(nil), c.packets(t)); diff != "" {
			t.Errorf("%s --no-probe sent (-want +got)\n%s", strings.Join(args, " "), diff)
		}
	}
	if d := changes(before, state(t)); len(d) > 0 {
		t.Errorf("it changed\n%s", strings.Join(d, "\n"))
	}
	if out, err := netdoctor(ctx, "trace", "client", "db:5432").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	seen := strings.Join(c.packets(t), "\n")
	for _, id := range []string{"client", "host", "db"} {
		if !strings.Contains(seen, "\n"+id+" ") && !strings.HasPrefix(seen, id+" ") {
			t.Errorf("a probe was sent, and the capture in %s saw nothing of it", id)
		}
	}
}
