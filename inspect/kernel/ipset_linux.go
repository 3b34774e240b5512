package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Commands and attributes of include/uapi/linux/netfilter/ipset/ip_set.h.
const (
	ipsetSubsystem = unix.NFNL_SUBSYS_IPSET << 8
	ipsetList      = ipsetSubsystem | 7  // IPSET_CMD_LIST
	ipsetGetByName = ipsetSubsystem | 14 // IPSET_CMD_GET_BYNAME
	ipsetProtocol  = 1                   // IPSET_ATTR_PROTOCOL
	ipsetSetName   = 2                   // IPSET_ATTR_SETNAME
	// ipsetVersion is the oldest protocol that every kernel of today takes
	// (IPSET_PROTOCOL_MIN); GET_BYNAME wants 7 (Linux 4.20).
	ipsetVersion      = 6
	ipsetVersionIndex = 7
)

// ReadIPSets reads the sets of ipset(8) of a namespace, with at most 65,536
// entries each. A kernel without ipset has none.
func ReadIPSets(ctx context.Context, h *ns.Handle) (sets []snap.IPSet, err error) {
	err = h.Do(func() (err error) {
		sets, err = readIPSets(ctx)
		return err
	})
	return sets, err
}

// readIPSets is ReadIPSets in the namespace of the calling thread.
func readIPSets(ctx context.Context) ([]snap.IPSet, error) {
	s, err := openNF()
	if errors.Is(err, snap.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.close()
	for range rulesetTries - 1 {
		if sets, err := s.ipsets(ctx); !errors.Is(err, snap.ErrTorn) {
			return sets, err
		}
	}
	return s.ipsets(ctx)
}

func (s *nfSocket) ipsets(ctx context.Context) ([]snap.IPSet, error) {
	var sets []snap.IPSet
	attrs := appendByte(nil, ipsetProtocol, ipsetVersion)
	err := s.ask(ctx, ipsetList, unix.AF_UNSPEC, unix.NLM_F_DUMP, attrs, func(m nfMessage) error {
		set, err := firewall.DecodeIPSet(m.attrs)
		if err != nil {
			return err
		}
		if n := len(sets); n == 0 || sets[n-1].Name != set.Name {
			sets = append(sets, snap.IPSet{Name: set.Name, Type: set.Type, Family: set.Family, Entries: []snap.IPSetEntry{}, Counters: set.Counters, References: set.References, Index: -1})
		}
		last := &sets[len(sets)-1]
		if room := maxElements - len(last.Entries); len(set.Entries) > room {
			set.Entries, last.Truncated = set.Entries[:room], true
		}
		last.Entries = append(last.Entries, set.Entries...)
		return nil
	})
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return nil, nil // no ipset in this kernel (net/netfilter/nfnetlink.c:nfnetlink_rcv_msg)
	case errors.Is(err, snap.ErrTorn):
		return sets, fmt.Errorf("reading ipsets: %w", err)
	case err != nil:
		return sets, nfError("reading ipsets", err)
	}
	for i := range sets {
		if err := s.ipsetIndex(ctx, &sets[i]); err != nil {
			return sets, err
		}
	}
	return sets, nil
}

// ipsetIndex asks for the number of a set.
func (s *nfSocket) ipsetIndex(ctx context.Context, set *snap.IPSet) error {
	attrs := appendByte(nil, ipsetProtocol, ipsetVersionIndex)
	attrs = appendString(attrs, ipsetSetName, set.Name)
	family := uint8(unix.NFPROTO_IPV4)
	if set.Family == snap.IPv6 {
		family = unix.NFPROTO_IPV6
	}
	err := s.ask(ctx, ipsetGetByName, family, 0, attrs, func(m nfMessage) error {
		n, err := firewall.DecodeIPSetIndex(m.attrs)
		if err == nil {
			set.Index = n
		}
		return err
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("ipset %s: %w", set.Name, snap.ErrTorn)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTO):
		return nil // before Linux 4.20; Index stays -1
	case err != nil:
		return nfError("reading the index of ipset "+set.Name, err)
	}
	return nil
}

// appendByte adds an attribute of one byte.
func appendByte(b []byte, typ uint16, v uint8) []byte {
	b = binary.NativeEndian.AppendUint16(b, 5)
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(b, v, 0, 0, 0)
}
