package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func uplinkDown() Fault {
	return Fault{
		Name: "uplink-down", Code: "ND1108", Title: "the host's uplink is set down", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, _ string) ([]fixups.Op, error) {
			ns, l, _, err := host(s)
			if err != nil {
				return nil, err
			}
			return []fixups.Op{&fixups.LinkSet{Where: fixups.At(s, ns.ID), Name: l.Name}}, nil
		},
	}
}
