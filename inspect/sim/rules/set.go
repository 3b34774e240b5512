package rules

import (
	"bytes"
	"slices"
	"sort"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// set is a set or map made ready for look-ups.
type set struct {
	src    *snap.Set
	elems  []element
	catch  *element         // catch-all
	exact  map[string]int   // sets without intervals: key to index
	sorted []int            // intervals of one field, by key
	first  map[string][]int // concatenations with intervals, by an exact first field
	ranged []int            // those whose first field is an interval
	fields []int            // byte lengths of the parts, each padded to 4
	filled bool             // rules add or delete elements
	broken string           // why look-ups are unknown
}

// element is a compiled member of a set.
type element struct {
	src     *snap.Element
	key, to []byte
	ops     []op // stateful expressions
}

func compileSet(src *snap.Set) *set {
	s := &set{src: src, broken: src.Unread}
	n := src.KeyLen
	for i := range src.Elements {
		if e := &src.Elements[i]; !e.CatchAll {
			n = max(n, len(e.Key))
		}
	}
	for i := range src.Elements {
		e := element{src: &src.Elements[i]}
		if e.src.CatchAll {
			c := e
			s.catch = &c
			continue
		}
		e.key, e.to = e.src.Key, e.src.KeyEnd
		if e.to == nil {
			e.to = e.key
		}
		if len(e.key) != len(e.to) || len(e.key) == 0 {
			s.broken = "an element that was not decoded"
			return s
		}
		// A concatenation's last part may be given without its padding.
		e.key, e.to = pad(e.key, n), pad(e.to, n)
		s.elems = append(s.elems, e)
	}
	switch {
	case len(s.elems) == 0:
		s.exact = map[string]int{}
	case src.Interval && (src.Concat || len(src.Fields) > 1):
		s.indexConcat(n)
	case src.Interval:
		s.sorted = make([]int, len(s.elems))
		for i := range s.elems {
			s.sorted[i] = i
		}
		sort.Slice(s.sorted, func(i, j int) bool { return bytes.Compare(s.elems[s.sorted[i]].key, s.elems[s.sorted[j]].key) < 0 })
	default:
		s.exact = make(map[string]int, len(s.elems))
		for i := range s.elems {
			s.exact[string(s.elems[i].key)] = i
		}
	}
	return s
}

func pad(b []byte, n int) []byte {
	if len(b) >= n {
		return b
	}
	return append(slices.Clone(b), make([]byte, n-len(b))...)
}

// indexConcat indexes a concatenation with intervals (net/netfilter/nft_set_pipapo.c).
func (s *set) indexConcat(n int) {
	sum := 0
	for _, f := range s.src.Fields {
		if f <= 0 || f > 64 {
			sum = -1
			break
		}
		s.fields = append(s.fields, f)
		sum += (f + 3) &^ 3
	}
	if len(s.fields) == 0 || sum != (n+3)&^3 {
		s.broken, s.fields = "a concatenation whose fields are not known", nil
		return
	}
	for i := range s.elems { // a last part that was given without its padding
		s.elems[i].key, s.elems[i].to = pad(s.elems[i].key, sum), pad(s.elems[i].to, sum)
	}
	s.first = make(map[string][]int)
	for i := range s.elems {
		e := &s.elems[i]
		if f := s.fields[0]; bytes.Equal(e.key[:f], e.to[:f]) {
			s.first[string(e.key[:f])] = append(s.first[string(e.key[:f])], i)
		} else {
			s.ranged = append(s.ranged, i)
		}
	}
}

// link compiles what elements refer to.
func (s *set) link(t *table) {
	for i := range s.elems {
		s.elems[i].link(t)
	}
	if s.catch != nil {
		s.catch.link(t)
	}
}

func (e *element) link(t *table) {
	if len(e.src.Exprs) > 0 {
		e.ops = t.compileExprs(e.src.Exprs)
	}
}

// find looks a known key up; nil when it is not there. Catch-all elements are
// not looked at.
func (s *set) find(key []byte) *element {
	switch {
	case s.exact != nil:
		if i, ok := s.exact[string(key)]; ok {
			return &s.elems[i]
		}
	case s.sorted != nil:
		n := sort.Search(len(s.sorted), func(i int) bool { return bytes.Compare(s.elems[s.sorted[i]].key, key) > 0 })
		if n > 0 {
			if e := &s.elems[s.sorted[n-1]]; bytes.Compare(key, e.to) <= 0 {
				return e
			}
		}
	case s.first != nil:
		if e := s.among(s.first[string(key[:s.fields[0]])], key); e != nil {
			return e
		}
		return s.among(s.ranged, key)
	}
	return nil
}

func (s *set) among(list []int, key []byte) *element {
	for _, i := range list {
		if s.holds(&s.elems[i], key, nil).is == yes {
			return &s.elems[i]
		}
	}
	return nil
}

// holds says whether an element matches a key of which the bits in k are known.
func (s *set) holds(e *element, key, k []byte) truth {
	if s.fields == nil {
		return within(key, k, e.key, e.to)
	}
	t, o := is(true), 0
	for _, f := range s.fields {
		var kf []byte
		if k != nil {
			kf = k[o : o+f]
		}
		if t = t.and(within(key[o:o+f], kf, e.key[o:o+f], e.to[o:o+f])); t.is == no {
			return t
		}
		o += (f + 3) &^ 3
	}
	return t
}

// candidates are the elements that a partly known key may match; sure says
// that the first of them does match.
func (s *set) candidates(key, k []byte) (list []*element, sure bool) {
	for i := range s.elems {
		switch e := &s.elems[i]; s.holds(e, key, k).is {
		case yes:
			return []*element{e}, true
		case maybe:
			list = append(list, e)
		}
	}
	return list, false
}

// keyLen is the number of bytes that a look-up reads.
func (s *set) keyLen() int {
	if s.src.KeyLen > 0 {
		return s.src.KeyLen
	}
	if len(s.elems) > 0 {
		return len(s.elems[0].key)
	}
	return 0
}
