package witness

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// layout is where the running kernel keeps the fields that the program reads,
// in bytes from the start of their structures, and the names of its reasons.
type layout struct {
	skbDev, skbSk, skbHead, skbData, skbNetwork int32 // of struct sk_buff
	skbProtocol                                 int32
	devIndex, devNet                            int32 // of struct net_device
	sockNet                                     int32 // of struct sock
	netInum                                     int32 // of struct net
	reasons                                     map[uint32]string
}

// readLayout reads it from the kernel's own type information.
func readLayout() (*layout, error) {
	// Before Linux 5.11 tables count against RLIMIT_MEMLOCK. Where it can't be
	// raised making them fails, and says so.
	_ = rlimit.RemoveMemlock()
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's type information: %w", err)
	}
	l := &layout{reasons: map[uint32]string{}}
	for _, f := range []struct {
		to   *int32
		typ  string
		path []string
	}{
		{&l.skbDev, "sk_buff", []string{"dev"}},
		{&l.skbSk, "sk_buff", []string{"sk"}},
		{&l.skbHead, "sk_buff", []string{"head"}},
		{&l.skbData, "sk_buff", []string{"data"}},
		{&l.skbNetwork, "sk_buff", []string{"network_header"}},
		{&l.skbProtocol, "sk_buff", []string{"protocol"}},
		{&l.devIndex, "net_device", []string{"ifindex"}},
		{&l.devNet, "net_device", []string{"nd_net", "net"}},
		{&l.sockNet, "sock", []string{"__sk_common", "skc_net", "net"}},
		{&l.netInum, "net", []string{"ns", "inum"}},
	} {
		var s *btf.Struct
		if err := spec.TypeByName(f.typ, &s); err != nil {
			return nil, fmt.Errorf("type %s of this kernel: %w", f.typ, err)
		}
		off, ok := offset(s, f.path)
		if !ok {
			return nil, fmt.Errorf("field %s of struct %s of this kernel: %w", strings.Join(f.path, "."), f.typ, snap.ErrNotFound)
		}
		*f.to = int32(off)
	}
	// Without the enum (before Linux 5.17) drops have no reason.
	var e *btf.Enum
	if spec.TypeByName("skb_drop_reason", &e) == nil {
		for _, v := range e.Values {
			l.reasons[uint32(v.Value)] = strings.TrimPrefix(v.Name, "SKB_DROP_REASON_")
		}
	}
	return l, nil
}

// reason names a drop reason; "" when this kernel has none.
func (l *layout) reason(n uint32) string {
	if r := l.reasons[n]; r != "" || len(l.reasons) == 0 {
		return r
	}
	return strconv.Itoa(int(n)) // of a subsystem of its own: its number is in the high half
}

// offset follows a path of field names.
func offset(t btf.Type, path []string) (uint32, bool) {
	var sum uint32
	for _, name := range path {
		off, ft, ok := member(t, name)
		if !ok {
			return 0, false
		}
		sum, t = sum+off, ft
	}
	return sum, true
}

// member finds a field, also inside anonymous structures and unions.
func member(t btf.Type, name string) (off uint32, ft btf.Type, ok bool) {
	var fields []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		fields = t.Members
	case *btf.Union:
		fields = t.Members
	}
	for _, m := range fields {
		if m.Name == name {
			return m.Offset.Bytes(), m.Type, true
		}
		if m.Name == "" {
			if off, ft, ok := member(m.Type, name); ok {
				return m.Offset.Bytes() + off, ft, true
			}
		}
	}
	return 0, nil, false
}
