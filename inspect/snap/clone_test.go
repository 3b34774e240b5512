package snap_test

import (
	"maps"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestSysctlsAreSharedUntilWritten: namespaces with the same table and clones have
// one of them, and what is written to one's own is seen by nobody else.
func TestSysctlsAreSharedUntilWritten(t *testing.T) {
	const key = "net/ipv4/ip_forward"
	s := &snap.Snapshot{}
	for _, id := range []string{"a", "b", "other", "unread"} {
		s.Netns = append(s.Netns, snap.Netns{ID: id, Sysctls: map[string]string{key: "0", "net/ipv4/ip_default_ttl": "64"}})
	}
	s.Ns("other").Sysctls[key] = "1"
	s.Ns("unread").Sysctls = nil
	s.ShareSysctls()
	// Written straight to the table, it is everybody's who shares it.
	s.Ns("a").Sysctls["probe"] = "1"
	if s.Ns("b").Sysctls["probe"] != "1" || s.Ns("other").Sysctls["probe"] != "" || s.Ns("unread").Sysctls != nil {
		t.Fatalf("shared by the wrong ones: %v", s.Netns)
	}
	was := maps.Clone(s.Ns("a").Sysctls)
	c := s.Clone()
	c.Ns("a").OwnSysctls()[key] = "1"
	c.Ns("unread").OwnSysctls()[key] = "1"
	for name, ns := range map[string]*snap.Netns{"the original": s.Ns("a"), "its sharer": s.Ns("b"), "the clone's sharer": c.Ns("b")} {
		if !maps.Equal(ns.Sysctls, was) {
			t.Errorf("%s has %v, was %v", name, ns.Sysctls, was)
		}
	}
	if got := c.Ns("a").Sysctls; got[key] != "1" || got["probe"] != "1" || len(got) != len(was) {
		t.Errorf("written is %v", got)
	}
	if s.Ns("unread").Sysctls != nil || c.Ns("unread").Sysctls[key] != "1" {
		t.Error("a table that was not read")
	}
}
