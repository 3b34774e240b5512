package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func repliesDropped() Fault {
	return Fault{
		Name: "replies-dropped", Code: "ND3103", Title: "a rule that is meant for strangers drops the answers to a network, too", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
			v, err := find(s, target)
			if err != nil {
				return nil, err
			}
			return hooked(v, "strangers", "forward", -10, fmt.Sprintf("oifname %q ip saddr 198.51.100.0/24 counter drop", v.bridge.Name)), nil
		},
	}
}
