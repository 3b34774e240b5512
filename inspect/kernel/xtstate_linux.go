package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxXTState bounds what is read of one list or table, bytes.
const maxXTState = 1 << 20

// xtFiles calls read for each file of a folder of /proc/net; a module that is not
// there has none. It must run on a thread inside.
func xtFiles(dir string, read func(name string, b []byte) error) error {
	dir = "/proc/thread-self/net/" + dir
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the last rule of it has gone
		}
		if err == nil && len(b) > maxXTState {
			err = snap.ErrLimit
		}
		if err == nil {
			err = read(e.Name(), b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
	}
	return nil
}

// readRecent reads the lists of xt_recent.
func readRecent() ([]snap.RecentList, error) {
	var out []snap.RecentList
	var now jiffies
	err := xtFiles("xt_recent", func(name string, b []byte) error {
		if now.hz == 0 {
			now = readJiffies()
		}
		l, err := decodeRecent(b, now)
		l.Name = name
		out = append(out, l)
		return err
	})
	return out, err
}

// ReadRecent reads the lists of xt_recent of a namespace.
func ReadRecent(h *ns.Handle) ([]snap.RecentList, error) {
	var out []snap.RecentList
	err := h.Do(func() (err error) {
		out, err = readRecent()
		return err
	})
	return out, err
}

// jiffies is the kernel's own clock.
type jiffies struct{ hz, now uint64 }

// readJiffies works out the clock: the resolution of the coarse clock is one tick
// (kernel/time/posix-timers.c: posix_get_coarse_res), and the count begins five
// minutes below 2^32 (include/linux/jiffies.h: INITIAL_JIFFIES).
func readJiffies() jiffies {
	var res, up unix.Timespec
	if unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &res) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &up) != nil || res.Nano() <= 0 {
		return jiffies{}
	}
	hz := uint64((int64(time.Second) + res.Nano()/2) / res.Nano())
	return jiffies{hz, 1<<32 - 300*hz + uint64(up.Nano())/uint64(res.Nano())}
}

// age is how long before now a stamp is, in milliseconds; on 32 bits both wrap.
func (j jiffies) age(stamp uint64) int64 {
	d := int64(j.now - stamp)
	if stamp < 1<<32 && j.now >= 1<<32 {
		d = int64(int32(uint32(j.now) - uint32(stamp)))
	}
	return max(d, 0) * 1000 / int64(j.hz)
}

// decodeRecent reads the lines of one list (net/netfilter/xt_recent.c:
// recent_seq_show).
func decodeRecent(b []byte, now jiffies) (snap.RecentList, error) {
	l := snap.RecentList{Entries: []snap.RecentEntry{}}
	for line := range bytes.Lines(b) {
		f := strings.Fields(strings.ReplaceAll(string(line), ",", " "))
		if len(f) < 7 || f[1] != "ttl:" || f[5] != "oldest_pkt:" {
			return l, fmt.Errorf("line %.60q is none of xt_recent", line)
		}
		addr, err := netip.ParseAddr(strings.TrimPrefix(f[0], "src="))
		if err != nil {
			return l, err
		}
		ttl, err := strconv.ParseUint(f[2], 10, 8)
		if err != nil {
			return l, err
		}
		if now.hz == 0 {
			return l, fmt.Errorf("the kernel's clock: %w", snap.ErrUnsupported)
		}
		e := snap.RecentEntry{Addr: addr, TTL: uint8(ttl), AgesMs: []int64{}}
		for _, s := range f[7:] {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return l, err
			}
			e.AgesMs = append(e.AgesMs, now.age(n))
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

// readHashLimits reads the tables of xt_hashlimit.
func readHashLimits() ([]snap.HashLimit, error) {
	var out []snap.HashLimit
	for _, x := range []struct {
		dir string
		fam snap.Family
	}{{"ipt_hashlimit", snap.IPv4}, {"ip6t_hashlimit", snap.IPv6}} {
		err := xtFiles(x.dir, func(name string, b []byte) error {
			t, err := decodeHashLimit(b)
			t.Name, t.Family = name, x.fam
			out = append(out, t)
			return err
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// decodeHashLimit reads the lines of one table (net/netfilter/xt_hashlimit.c:
// dl_seq_print): the time left, source and destination, and the credit, brought up to
// date for the reader.
func decodeHashLimit(b []byte) (snap.HashLimit, error) {
	t := snap.HashLimit{Entries: []snap.HashLimitEntry{}}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) != 5 {
			return t, fmt.Errorf("line %.60q is none of xt_hashlimit", line)
		}
		from, to, _ := strings.Cut(f[1], "->")
		var e snap.HashLimitEntry
		var err error
		if e.Src, err = addrPortOf(from); err == nil {
			e.Dst, err = addrPortOf(to)
		}
		for i, into := range []*uint64{&e.Credit, &e.Cap, &e.Cost} {
			if err == nil {
				*into, err = strconv.ParseUint(f[2+i], 10, 64)
			}
		}
		if err != nil {
			return t, err
		}
		t.Entries = append(t.Entries, e)
	}
	return t, nil
}

// addrPortOf reads "192.0.2.1:80", and "2001:0db8:…:0001:80" of the kernel's %pI6:%u.
func addrPortOf(s string) (netip.AddrPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, fmt.Errorf("%q has no port", s)
	}
	a, err := netip.ParseAddr(s[:i])
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(s[i+1:], 10, 16)
	return netip.AddrPortFrom(a, uint16(p)), err
}
