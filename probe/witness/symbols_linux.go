package witness

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// symbols names kernel functions by an address inside of them. It is read when
// the first is asked for: that takes some 30 ms.
type symbols struct {
	once  sync.Once
	addrs []uint64
	names []string
	err   error
}

// name is the function around an address, "" when it can't be told.
func (s *symbols) name(addr uint64) string {
	s.once.Do(func() { s.err = s.read() })
	i := sort.Search(len(s.addrs), func(i int) bool { return s.addrs[i] > addr })
	if i == 0 {
		return ""
	}
	return s.names[i-1]
}

func (s *symbols) read() error {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return fmt.Errorf("reading the names of kernel functions: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	type symbol struct {
		addr uint64
		name string
	}
	var all []symbol
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		p := bytes.Fields(sc.Bytes())
		if len(p) < 3 || p[1][0]|0x20 != 't' {
			continue
		}
		a, err := strconv.ParseUint(string(p[0]), 16, 64)
		if err != nil || a == 0 {
			continue // zero: kptr_restrict hides the addresses
		}
		all = append(all, symbol{a, string(p[2])})
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("reading the names of kernel functions: %w", err)
	}
	if len(all) == 0 {
		return fmt.Errorf("the kernel hides the addresses of its functions (kernel.kptr_restrict): %w", snap.ErrPermission)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].addr < all[j].addr })
	for _, x := range all {
		s.addrs, s.names = append(s.addrs, x.addr), append(s.names, x.name)
	}
	return nil
}
