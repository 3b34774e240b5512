package witness

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// symbols names kernel functions by an address inside of them. The kernel's
// list is read when the first name is asked for: that takes some 30 ms, so
// nobody who reads events may ask.
type symbols struct {
	mu   sync.Mutex
	list []byte
	err  error
	name map[uint64]string
}

// of is the function around an address, "" when it can't be told.
func (s *symbols) of(addr uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.name[addr]; ok {
		return n
	}
	if s.name == nil {
		s.name = map[uint64]string{}
		s.list, s.err = os.ReadFile("/proc/kallsyms")
	}
	n := ""
	if s.err == nil {
		n, s.err = around(s.list, addr)
	}
	s.name[addr] = n
	return n
}

// around finds the function with the highest address that is not above addr, in
// lines like "ffffffff81a3c0d0 T nft_do_chain\t[nf_tables]".
func around(list []byte, addr uint64) (string, error) {
	var best uint64
	name := ""
	for len(list) > 0 {
		line := list
		if i := bytes.IndexByte(list, '\n'); i >= 0 {
			line, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		if len(line) < 20 || line[16] != ' ' || line[17]|0x20 != 't' {
			continue
		}
		a, err := strconv.ParseUint(string(line[:16]), 16, 64)
		if err != nil || a > addr || a < best || a == 0 {
			continue
		}
		best = a
		rest := line[19:]
		if i := bytes.IndexByte(rest, '\t'); i >= 0 {
			rest = rest[:i]
		}
		name = string(rest)
	}
	if best == 0 {
		return "", fmt.Errorf("the kernel hides the addresses of its functions (kernel.kptr_restrict): %w", snap.ErrPermission)
	}
	return name, nil
}
