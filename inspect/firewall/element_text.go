package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

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
