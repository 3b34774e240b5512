package ns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ScanProcs looks at every process once: its name, its namespaces, and the
// sockets it has open. A process that ends meanwhile is left out.
func ScanProcs(ctx context.Context) (*Procs, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, wrap("reading the list of processes", err)
	}
	defer dir.Close() //nolint:errcheck // only read
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, wrap("reading the list of processes", err)
	}
	p := &Procs{sockets: map[uint64]int{}, held: map[uint64][]string{}}
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	s := scanner{buf: make([]byte, 4096), dents: make([]byte, 32<<10)}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading the list of processes: %w", snap.ErrTimeout)
		}
		s.one(p, pid)
	}
	return p, nil
}

// scanner holds the buffers of one scan.
type scanner struct{ buf, dents []byte }

func (s *scanner) one(p *Procs, pid int) {
	at := "/proc/" + strconv.Itoa(pid)
	stat, err := s.read(at + "/stat")
	if err != nil {
		return
	}
	proc, err := parseStat(stat)
	if err != nil {
		return
	}
	refused := false
	link := func(kind string) uint64 {
		n, err := unix.Readlink(at+"/ns/"+kind, s.buf)
		if err != nil {
			refused = refused || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
			return 0
		}
		inode, _ := nsInode(string(s.buf[:n]), kind)
		return inode
	}
	proc.Netns, proc.Mntns = link("net"), link("mnt")
	if refused && !proc.kernel() {
		p.Refused = append(p.Refused, pid)
	}
	p.List = append(p.List, proc)
	s.fds(p, pid, at+"/fd")
}

// fds notes which sockets and which network namespaces the process has open.
func (s *scanner) fds(p *Procs, pid int, at string) {
	dir, err := unix.Open(at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(dir)
	for {
		n, err := unix.Getdents(dir, s.dents)
		if err != nil || n <= 0 {
			return
		}
		_, _, names := unix.ParseDirent(s.dents[:n], -1, nil)
		for _, fd := range names {
			n, err := unix.Readlinkat(dir, fd, s.buf)
			if err != nil {
				continue
			}
			switch l := s.buf[:n]; {
			case bytes.HasPrefix(l, []byte("socket:[")):
				if inode, ok := nsInode(string(l), "socket"); ok {
					if _, have := p.sockets[inode]; !have {
						p.sockets[inode] = pid
					}
				}
			case bytes.HasPrefix(l, []byte("net:[")):
				if inode, ok := netInode(string(l)); ok {
					p.held[inode] = append(p.held[inode], at+"/"+fd)
				}
			case bytes.HasPrefix(l, []byte("anon_inode:bpf")):
				p.bpf = append(p.bpf, procFD{pid, fd})
			case bytes.HasSuffix(l, []byte(tunFile)):
				p.tuns = append(p.tuns, procFD{pid, fd})
			}
		}
	}
}

// read reads a small file of proc; the result is valid until the next call.
func (s *scanner) read(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, s.buf)
	if err != nil {
		return nil, err
	}
	return s.buf[:n], nil
}

// ReadProc looks at one process again.
func ReadProc(pid int) (Proc, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return Proc{}, wrap(fmt.Sprintf("reading process %d", pid), err)
	}
	return parseStat(b)
}

// maxArgs is how much of a command line is kept.
const maxArgs = 4 << 10

// Args is the command line of a process seen by a scan, at most 4 KiB; nil
// when it is gone or has none.
func (p *Procs) Args(pid int) []string {
	was := p.Get(pid)
	if was == nil {
		return nil
	}
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	buf := make([]byte, maxArgs)
	n, _ := f.Read(buf)
	if now, err := ReadProc(pid); n <= 0 || err != nil || now.Start != was.Start {
		return nil // another process by now
	}
	return strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
}
