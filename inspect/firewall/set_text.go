package firewall

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SetText is a named set or map as nft lists it: its type, flags and elements,
// one part a line. What is no part of snap.Set (size, default timeout, policy)
// is left out. A set that was declared with typeof is shown by the datatypes
// that the kernel keeps. ns gives the names of devices; it may be nil.
func SetText(ns *snap.Netns, s *snap.Set) string {
	var b strings.Builder
	word := "set"
	if s.Map || s.ObjectMap {
		word = "map"
	}
	b.WriteString(word + " " + s.Name + " {\n\ttype " + typeText(s.KeyType))
	switch {
	case s.ObjectMap:
		b.WriteString(" : " + nameOf(objectTypes, s.DataType))
	case s.Map:
		b.WriteString(" : " + typeText(s.DataType))
	}
	b.WriteString("\n")
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{s.Constant, "constant"}, {s.Interval, "interval"}, {s.Timeout, "timeout"}, {s.Dynamic, "dynamic"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	if flags != nil {
		b.WriteString("\tflags " + strings.Join(flags, ",") + "\n")
	}
	if s.Comment != "" {
		b.WriteString("\tcomment \"" + s.Comment + "\"\n")
	}
	if list := elementTexts(ns, s, setKinds(s), 0); list != nil {
		b.WriteString("\telements = { " + strings.Join(list, ", ") + " }\n")
	}
	b.WriteString("}")
	return b.String()
}

// ElementText is one element of a set as nft lists it: "192.0.2.0/24",
// "tcp . 80-90 : jump web".
func ElementText(ns *snap.Netns, s *snap.Set, e *snap.Element) string {
	return elementText(ns, s, e, setKinds(s), 0)
}

// elementTexts are the texts of all elements, in nft's order, and in brackets
// what is missing.
func elementTexts(ns *snap.Netns, s *snap.Set, kinds []kind, shift int) []string {
	var list []string
	for _, e := range sortedElements(s, kinds) {
		list = append(list, elementText(ns, s, &e, kinds, shift))
	}
	if s.Truncated {
		list = append(list, "[more]")
	}
	if s.Unread != "" {
		list = append(list, "[unread]")
	}
	return list
}

// setKinds are the kinds of a set's key by its declared type.
func setKinds(s *snap.Set) []kind {
	kinds := typeKinds(s.KeyType, s.KeyLen)
	if len(kinds) == len(s.Fields) {
		for i := range kinds {
			kinds[i].size = s.Fields[i]
		}
	}
	return kinds
}

// typeText is a datatype, or several of a concatenation.
func typeText(typ uint32) string {
	switch {
	case typ >= 0xffffff00: // NFT_DATA_VERDICT
		return "verdict"
	case typ <= typeMask:
		return typeWord(typ)
	}
	var list []string
	for _, id := range splitType(typ) {
		list = append(list, typeWord(id))
	}
	return strings.Join(list, " . ")
}

func typeWord(id uint32) string {
	if name := nftTypeName(id); name != "" {
		return name
	}
	return "[type " + itoa(id) + "]"
}
