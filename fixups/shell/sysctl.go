package shell

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sysctl reads sysctl(8): -w KEY=VALUE.
func (r *reader) sysctl() (fixups.Op, error) {
	for r.take("-w", "--write", "-q", "--quiet") {
	}
	var ops fixups.Ops
	for r.more() {
		w, _ := r.next("")
		key, value, ok := strings.Cut(w, "=")
		if !ok || strings.HasPrefix(w, "-") {
			return nil, fmt.Errorf("sysctl %s: KEY=VALUE is read here: %w", w, snap.ErrUnsupported)
		}
		key = slashed(key)
		if !strings.HasPrefix(key, "net/") {
			return nil, fmt.Errorf("%s is no key below net: %w", key, snap.ErrUnsupported)
		}
		ops = append(ops, &fixups.SysctlSet{Where: r.where(), Key: key, Value: strings.TrimSpace(value)})
	}
	return one(ops)
}

// slashed is a key with slashes: whichever of "." and "/" comes first in a key
// separates, and the other one stands for it in names (procps: sysctl.c,
// slashdot).
func slashed(key string) string {
	i := strings.IndexAny(key, "./")
	if i < 0 || key[i] == '/' {
		return key
	}
	return strings.Map(func(c rune) rune {
		switch c {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return c
	}, key)
}

// one is a single operation of one or more.
func one(ops fixups.Ops) (fixups.Op, error) {
	switch len(ops) {
	case 0:
		return nil, fmt.Errorf("the line changes nothing")
	case 1:
		return ops[0], nil
	}
	return &fixups.Seq{Ops: ops}, nil
}
