package fixups

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SetElementAdd puts elements into a set or map of nftables. ChainRef.Chain is
// not looked at.
type SetElementAdd struct {
	ChainRef
	Set      string         `json:"set"`
	Fields   []int          `json:"fields,omitempty"` // as Set.Fields
	Elements []snap.Element `json:"elements"`
}

// SetElementDel takes elements out of a set or map.
type SetElementDel struct {
	ChainRef
	Set      string         `json:"set"`
	Fields   []int          `json:"fields,omitempty"` // as Set.Fields
	Elements []snap.Element `json:"elements"`
}

func (*SetElementAdd) Kind() string { return "set-element-add" }
func (*SetElementDel) Kind() string { return "set-element-del" }

func (o *SetElementAdd) Describe() string {
	return fmt.Sprintf("add %s to set %s of %s%s", elements(timeless(o.Elements), o.Fields), o.Set, o.Table, o.in())
}

func (o *SetElementDel) Describe() string {
	return fmt.Sprintf("delete %s from set %s of %s%s", elements(timeless(o.Elements), o.Fields), o.Set, o.Table, o.in())
}

func (o *SetElementAdd) Shell() []string {
	return []string{o.elementLine("add", o.Set, elements(o.Elements, o.Fields))}
}

func (o *SetElementDel) Shell() []string {
	return []string{o.elementLine("delete", o.Set, elements(timeless(o.Elements), o.Fields))}
}

func (c ChainRef) elementLine(verb, set, list string) string {
	return c.line("nft", verb, "element", c.Family.NFT(), c.Table, set, "{ "+list+" }")
}

func elements(list []snap.Element, fields []int) string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = elementText(e, fields)
	}
	return strings.Join(out, ", ")
}

// elementText writes an element as nft(8) does, as far as its length tells what
// it is: addresses and ports; anything else in hexadecimal.
func elementText(e snap.Element, fields []int) string {
	s := ""
	if len(fields) < 2 {
		s = rangeText(e.Key, e.KeyEnd)
	}
	for i, at := 0, 0; len(fields) > 1 && i < len(fields); i++ { // each filled up to words
		to, end := at+fields[i], []byte(nil)
		if len(e.Key) < to {
			break
		}
		if len(e.KeyEnd) >= to {
			end = e.KeyEnd[at:to]
		}
		if s != "" {
			s += " . "
		}
		s += rangeText(e.Key[at:to], end)
		at += (fields[i] + 3) &^ 3
	}
	if e.CatchAll {
		s = "*"
	}
	if e.TimeoutMs > 0 {
		s += " timeout " + span(e.TimeoutMs)
	}
	if e.ExpiresMs > 0 {
		s += " expires " + span(e.ExpiresMs)
	}
	switch {
	case e.Verdict != nil && e.Verdict.Chain != "":
		s += " : " + e.Verdict.Code + " " + e.Verdict.Chain
	case e.Verdict != nil:
		s += " : " + e.Verdict.Code
	case len(e.Data) == 8: // an address and a port, filled up
		s += " : " + keyText(e.Data[:4]) + " . " + keyText(e.Data[4:6])
	case len(e.Data) > 0:
		s += " : " + keyText(e.Data)
	}
	return s
}

// span writes a time as nft does.
func span(ms int64) string {
	if ms%1000 == 0 {
		return fmt.Sprintf("%ds", ms/1000)
	}
	return fmt.Sprintf("%dms", ms)
}

// timeless are elements without the time that they have left, which is not asked for
// where they are deleted.
func timeless(list []snap.Element) []snap.Element {
	out := slices.Clone(list)
	for i := range out {
		out[i].TimeoutMs, out[i].ExpiresMs = 0, 0
	}
	return out
}

// rangeText writes a key that may span others: a prefix where it is one.
func rangeText(key, end []byte) string {
	s := keyText(key)
	if len(end) > 0 && !bytes.Equal(key, end) {
		if bits, ok := prefixBits(key, end); ok && (len(key) == 4 || len(key) == 16) {
			return s + "/" + strconv.Itoa(bits)
		}
		s += "-" + keyText(end)
	}
	return s
}

// deviceName is the device that 16 bytes name: printable up to the zeros that
// fill it up. No address in use looks like that.
func deviceName(b []byte) (string, bool) {
	name := strings.TrimRight(string(b), "\x00")
	if len(b) != 16 || name == "" || len(name) > 15 {
		return "", false
	}
	return name, !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

func keyText(b []byte) string {
	if name, ok := deviceName(b); ok {
		return `"` + name + `"`
	}
	switch len(b) {
	case 4, 16:
		if a, ok := netip.AddrFromSlice(b); ok {
			return a.String()
		}
	case 2:
		return strconv.Itoa(int(b[0])<<8 | int(b[1]))
	}
	return fmt.Sprintf("0x%x", b)
}

// prefixBits says whether from–to is a prefix, and its length.
func prefixBits(from, to []byte) (int, bool) {
	bits := 0
	for i := range from {
		x := from[i] ^ to[i]
		for mask := byte(0x80); mask != 0; mask >>= 1 {
			if x&mask != 0 {
				a, okA := netip.AddrFromSlice(from)
				if !okA || netip.PrefixFrom(a, bits).Masked().Addr() != a {
					return 0, false
				}
				b, okB := netip.AddrFromSlice(to)
				return bits, okB && netip.PrefixFrom(a, bits).Contains(b) && !netip.PrefixFrom(a, bits).Contains(b.Next())
			}
			bits++
		}
	}
	return bits, true
}

func (c ChainRef) set(s *snap.Snapshot, name string) (*snap.Set, error) {
	_, t, err := c.table(s)
	if err != nil {
		return nil, err
	}
	if t != nil {
		if set := t.Set(name); set != nil {
			return set, nil
		}
	}
	return nil, snap.NotFoundf("no set %s in table %s of %s", name, c.Table, c.ID)
}

func findElement(set *snap.Set, e snap.Element) int {
	return slices.IndexFunc(set.Elements, func(x snap.Element) bool {
		return x.CatchAll == e.CatchAll && bytes.Equal(x.Key, e.Key) && bytes.Equal(last(x), last(e))
	})
}

func last(e snap.Element) []byte {
	if len(e.KeyEnd) == 0 {
		return e.Key
	}
	return e.KeyEnd
}

func (o *SetElementAdd) On(s *snap.Snapshot) error {
	set, err := o.set(s, o.Set)
	if err != nil {
		return err
	}
	for _, e := range o.Elements {
		if findElement(set, e) < 0 {
			set.Elements = append(set.Elements, e)
		}
	}
	return nil
}

func (o *SetElementDel) On(s *snap.Snapshot) error {
	set, err := o.set(s, o.Set)
	if err != nil {
		return err
	}
	for _, e := range o.Elements {
		i := findElement(set, e)
		if i < 0 {
			return snap.NotFoundf("set %s has no %s", o.Set, elementText(e, o.Fields))
		}
		set.Elements = slices.Delete(set.Elements, i, i+1)
	}
	return nil
}

func (o *SetElementAdd) Inverse(s *snap.Snapshot) (Op, error) {
	set, err := o.set(s, o.Set)
	if err != nil {
		return nil, err
	}
	back := &SetElementDel{ChainRef: o.ChainRef, Set: o.Set, Fields: o.Fields}
	for _, e := range o.Elements {
		if findElement(set, e) < 0 {
			back.Elements = append(back.Elements, e)
		}
	}
	if back.Elements == nil {
		return nil, nil
	}
	return back, nil
}

func (o *SetElementDel) Inverse(s *snap.Snapshot) (Op, error) {
	set, err := o.set(s, o.Set)
	if err != nil {
		return nil, err
	}
	back := &SetElementAdd{ChainRef: o.ChainRef, Set: o.Set, Fields: o.Fields}
	for _, e := range o.Elements {
		if i := findElement(set, e); i >= 0 {
			back.Elements = append(back.Elements, set.Elements[i])
		}
	}
	if back.Elements == nil {
		return nil, nil
	}
	return back, nil
}

func (o *SetElementAdd) Risk() Risk { return RiskMedium }
func (o *SetElementDel) Risk() Risk { return RiskMedium }

func (o *SetElementAdd) Object(s *snap.Snapshot) any { return o.elementObject(s, o.Set, o.Elements) }

func (o *SetElementDel) Object(s *snap.Snapshot) any { return o.elementObject(s, o.Set, o.Elements) }

// elementObject tells the type of the set and which of the elements are in it;
// others may come and go.
func (c ChainRef) elementObject(s *snap.Snapshot, name string, list []snap.Element) any {
	set, err := c.set(s, name)
	if err != nil {
		return nil
	}
	out := []any{set.KeyType, set.Interval, set.Map}
	for _, e := range list {
		out = append(out, findElement(set, e) >= 0)
	}
	return out
}

func (o *SetElementAdd) Holds(s *snap.Snapshot) bool {
	set, err := o.set(s, o.Set)
	return err == nil && !slices.ContainsFunc(o.Elements, func(e snap.Element) bool { return findElement(set, e) < 0 })
}

func (o *SetElementDel) Holds(s *snap.Snapshot) bool {
	set, err := o.set(s, o.Set)
	return err == nil && !slices.ContainsFunc(o.Elements, func(e snap.Element) bool { return findElement(set, e) >= 0 })
}
