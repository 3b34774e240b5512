package fixups

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SetAdd makes a named set or map of nftables, with its elements. ChainRef.Chain
// is not looked at.
type SetAdd struct {
	ChainRef
	Set snap.Set `json:"set"`
}

// SetDel deletes a named set that no rule uses any more.
type SetDel struct {
	ChainRef
	Set string `json:"set"`
}

// Numbers of nft's datatypes (nftables: include/datatype.h), which the kernel
// only stores.
const (
	TypeVerdict = 1
	TypeInteger = 4
	TypeIPAddr  = 7
	TypeIP6Addr = 8
	TypeIfname  = 41

	verdictData = 0xffffff00 // NFT_DATA_VERDICT
)

// How a value of a set is laid out (nftables: include/datatype.h, enum byteorder).
const (
	OrderNone = 0 // of verdicts
	OrderHost = 1
	OrderBig  = 2
)

// MapUserData is what nft writes beside a map, and needs to print it: the byte orders
// of its keys and of its data (libnftnl: include/udata.h, nftnl_udata_set_types).
// Without it nft 1.0.6 prints keys in the host's order as "".
func MapUserData(key, data uint32) []byte {
	b := binary.NativeEndian.AppendUint32([]byte{0, 4}, key)
	return binary.NativeEndian.AppendUint32(append(b, 1, 4), data)
}

// VerdictMap is an empty map from device names to verdicts.
func VerdictMap(name string) snap.Set {
	return snap.Set{Name: name, Map: true, KeyType: TypeIfname, KeyLen: 16, DataType: verdictData, UserData: MapUserData(OrderHost, OrderNone), Elements: []snap.Element{}}
}

// DeviceVerdict is an element of a VerdictMap.
func DeviceVerdict(dev, code, chain string) snap.Element {
	k := make([]byte, 16)
	copy(k, dev)
	return snap.Element{Key: k, Verdict: &snap.Verdict{Code: code, Chain: chain}}
}

func (*SetAdd) Kind() string { return "set-add" }
func (*SetDel) Kind() string { return "set-del" }

func (o *SetAdd) what() string {
	if o.Set.Map {
		return "map"
	}
	return "set"
}

func (o *SetAdd) Describe() string {
	return fmt.Sprintf("make %s %s in %s%s", o.what(), o.Set.Name, o.Table, o.in())
}

func (o *SetDel) Describe() string {
	return fmt.Sprintf("delete set %s of %s%s", o.Set, o.Table, o.in())
}

func typeWord(t uint32) string {
	switch t {
	case TypeVerdict, verdictData:
		return "verdict"
	case TypeInteger:
		return "integer"
	case TypeIPAddr:
		return "ipv4_addr"
	case TypeIP6Addr:
		return "ipv6_addr"
	case TypeIfname:
		return "ifname"
	}
	return fmt.Sprintf("0x%x", t)
}

func (o *SetAdd) Shell() []string {
	typ := typeWord(o.Set.KeyType)
	if o.Set.Map {
		typ += " : " + typeWord(o.Set.DataType)
	}
	if o.Set.KeyType == TypeInteger {
		typ = strings.Replace(typ, "type integer", "typeof numgen inc mod 65536", 1)
	}
	out := []string{o.line("nft", "add", o.what(), o.Family.NFT(), o.Table, o.Set.Name, "{ type "+typ+" ; }")}
	if len(o.Set.Elements) > 0 {
		out = append(out, o.elementLine("add", o.Set.Name, elements(o.Set.Elements, o.Set.Fields)))
	}
	return out
}

func (o *SetDel) Shell() []string {
	return []string{o.line("nft", "delete", "set", o.Family.NFT(), o.Table, o.Set)}
}

func (o *SetAdd) On(s *snap.Snapshot) error {
	_, t, err := o.mustTable(s)
	switch {
	case err != nil:
		return err
	case t.Set(o.Set.Name) != nil:
		return fmt.Errorf("set %s is there already", o.Set.Name)
	}
	t.Sets = append(t.Sets, o.Set)
	return nil
}

func (o *SetDel) On(s *snap.Snapshot) error {
	_, t, err := o.table(s)
	if err != nil {
		return err
	}
	if t == nil || t.Set(o.Set) == nil {
		return snap.NotFoundf("no set %s in %s", o.Set, o.Table)
	}
	t.Sets = snap.Without(t.Sets, func(x snap.Set) bool { return x.Name == o.Set })
	return nil
}

func (o *SetAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if _, t, err := o.table(s); err != nil || t != nil && t.Set(o.Set.Name) != nil {
		return nil, err
	}
	return &SetDel{o.ChainRef, o.Set.Name}, nil
}

func (o *SetDel) Inverse(s *snap.Snapshot) (Op, error) {
	_, t, err := o.table(s)
	if err != nil || t == nil || t.Set(o.Set) == nil {
		return nil, err
	}
	return &SetAdd{o.ChainRef, *t.Set(o.Set)}, nil
}

func (o *SetAdd) Risk() Risk { return RiskLow }
func (o *SetDel) Risk() Risk { return RiskMedium }

func (c ChainRef) setObject(s *snap.Snapshot, name string) any {
	_, t, err := c.table(s)
	if err != nil || t == nil {
		return nil
	}
	if x := t.Set(name); x != nil {
		return []any{x.KeyType, x.DataType, len(x.Elements)}
	}
	return nil
}

func (o *SetAdd) Object(s *snap.Snapshot) any { return o.setObject(s, o.Set.Name) }
func (o *SetDel) Object(s *snap.Snapshot) any { return o.setObject(s, o.Set) }

func (o *SetAdd) Holds(s *snap.Snapshot) bool {
	_, t, err := o.table(s)
	return err == nil && t != nil && t.Set(o.Set.Name) != nil
}

func (o *SetDel) Holds(s *snap.Snapshot) bool {
	_, t, err := o.table(s)
	return err == nil && (t == nil || t.Set(o.Set) == nil)
}
