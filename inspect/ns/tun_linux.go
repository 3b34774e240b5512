package ns

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// TunReaders are the processes that have a tun or tap device open: fdinfo names it
// (drivers/net/tun.c: tun_chr_show_fdinfo), and only the descriptor itself tells in which
// namespace it is, as that is mostly not the process's own.
func (p *Procs) TunReaders() []TunReader {
	if p == nil {
		return nil
	}
	var out []TunReader
	for _, x := range p.tuns {
		proc := p.Get(x.pid)
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", x.pid, x.fd))
		if proc == nil || err != nil {
			continue // it was closed meanwhile, or is not for us to see
		}
		r := TunReader{Proc: *proc, Device: statusOf(string(b), "iff")}
		if r.Netns = tunNetns(x); r.Device == "" || r.Netns == 0 {
			continue
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.pid)); err == nil {
			// The effective ones are the second of four (proc_pid_status(5)).
			if uids := strings.Fields(statusOf(string(b), "Uid")); len(uids) > 1 {
				if n, err := strconv.ParseUint(uids[1], 10, 32); err == nil {
					uid := uint32(n)
					r.UID = &uid
				}
			}
			if gids := strings.Fields(statusOf(string(b), "Gid")); len(gids) > 1 {
				for _, g := range append(gids[1:2], strings.Fields(statusOf(string(b), "Groups"))...) {
					if n, err := strconv.Atoi(g); err == nil && !slices.Contains(r.Groups, n) {
						r.Groups = append(r.Groups, n)
					}
				}
			}
		}
		out = append(out, r)
	}
	return out
}

// statusOf is the value of a line "key: value".
func statusOf(text, key string) string {
	for line := range strings.Lines(text) {
		if k, v, _ := strings.Cut(line, ":"); k == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// tunNetns asks a copy of the descriptor for its namespace (TUNGETDEVNETNS, since Linux
// 5.2; pidfd_getfd, 5.6); 0 where that is not to be had.
func tunNetns(x procFD) uint64 {
	n, err := strconv.Atoi(x.fd)
	if err != nil {
		return 0
	}
	pid, err := unix.PidfdOpen(x.pid, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(pid)
	fd, err := unix.PidfdGetfd(pid, n, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	if l, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err != nil || !strings.HasSuffix(l, tunFile) {
		return 0 // another file by now
	}
	const tunGetDevNetns = 0x54e3 // _IO('T', 227), linux/if_tun.h
	ns, err := unix.IoctlRetInt(fd, tunGetDevNetns)
	if err != nil {
		return 0
	}
	defer unix.Close(ns)
	var st unix.Stat_t
	if unix.Fstat(ns, &st) != nil {
		return 0
	}
	return st.Ino
}
