package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Socket options of x_tables, the same numbers for IPv4 and IPv6
// (include/uapi/linux/netfilter_ipv4/ip_tables.h).
const (
	iptGetInfo    = 64 // IPT_SO_GET_INFO
	iptGetEntries = 65 // IPT_SO_GET_ENTRIES
	// iptEntriesHead is struct ipt_get_entries before the entries: the name, the
	// size, and padding to 8 bytes.
	iptEntriesHead = 40
	// iptMaxBytes is more than a million rules; the kernel itself stops at
	// 512 MiB (net/netfilter/x_tables.c:XT_MAX_TABLE_SIZE).
	iptMaxBytes = 512 << 20
)

// readLegacy reads the tables of iptables-legacy that are registered in the
// namespace of the calling thread. IPT_SO_GET_INFO registers a table that is
// not (and nat then switches conntrack on), so only those are asked for that
// /proc names.
func readLegacy(ctx context.Context) ([]snap.Table, []error) {
	var tables []snap.Table
	var errs []error
	for _, v6 := range []bool{false, true} {
		names, err := legacyNames(v6)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return tables, append(errs, snap.As(snap.ErrTimeout, "reading legacy table "+name, err))
			}
			t, err := readLegacyTable(v6, name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			tables = append(tables, t)
		}
	}
	return tables, errs
}

// legacyNames lists the registered tables, oldest first: the file has the
// newest first (net/netfilter/x_tables.c:xt_register_table, list_add).
func legacyNames(v6 bool) ([]string, error) {
	file := "/proc/thread-self/net/ip_tables_names"
	if v6 {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, nfError("reading the names of legacy tables", err)
	case err != nil:
		return nil, fmt.Errorf("reading the names of legacy tables: %w", err)
	}
	var names []string
	for _, n := range strings.Fields(string(b)) {
		names = append([]string{n}, names...)
	}
	return names, nil
}

// readLegacyTable reads one table, again when it changed between the two calls.
func readLegacyTable(v6 bool, name string) (snap.Table, error) {
	what := "reading legacy table " + name
	family, level := unix.AF_INET, unix.SOL_IP
	if v6 {
		what, family, level = what+" of IPv6", unix.AF_INET6, unix.SOL_IPV6
	}
	if len(name) > 31 {
		return snap.Table{}, fmt.Errorf("%s: its name is too long: %w", what, snap.ErrUnsupported)
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return snap.Table{}, nfError(what, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	for range rulesetTries {
		var t snap.Table
		if t, err = legacyOnce(fd, level, v6, name); !errors.Is(err, unix.EAGAIN) {
			if err != nil {
				return t, nfError(what, err)
			}
			return t, nil
		}
	}
	return snap.Table{}, snap.As(snap.ErrTorn, what, err)
}

// legacyOnce gives EAGAIN when the table was replaced by one of another size
// (net/ipv4/netfilter/ip_tables.c:get_entries).
func legacyOnce(fd, level int, v6 bool, name string) (snap.Table, error) {
	info, entries, err := legacyBytes(fd, level, name)
	if err != nil {
		return snap.Table{}, err
	}
	in, err := firewall.DecodeLegacyInfo(info)
	if err != nil {
		return snap.Table{}, err
	}
	return firewall.DecodeLegacy(v6, in, entries)
}

// legacyBytes asks for a table: struct ipt_getinfo and the entries.
func legacyBytes(fd, level int, name string) (info, entries []byte, err error) {
	info = make([]byte, firewall.LegacyInfoSize)
	copy(info, name)
	if err := getsockopt(fd, level, iptGetInfo, info); err != nil {
		return nil, nil, err
	}
	in, err := firewall.DecodeLegacyInfo(info)
	if err != nil {
		return nil, nil, err
	}
	if in.Size > iptMaxBytes {
		return nil, nil, fmt.Errorf("%d bytes: %w", in.Size, snap.ErrLimit)
	}
	b := make([]byte, iptEntriesHead+int(in.Size))
	copy(b, name)
	binary.NativeEndian.PutUint32(b[32:], in.Size)
	if err := getsockopt(fd, level, iptGetEntries, b); err != nil {
		return nil, nil, err
	}
	return info, b[iptEntriesHead:], nil
}

// getsockopt fills b, whose contents are the question, with the answer.
func getsockopt(fd, level, opt int, b []byte) error {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
