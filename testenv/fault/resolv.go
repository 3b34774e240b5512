package fault

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// writeConf writes a container's resolv.conf, in the copy that the engine keeps.
func writeConf(v *victim, content string) fixups.Op {
	return &fixups.FileWrite{Owner: v.c.Ref, Path: v.c.ResolvConfPath, File: "resolv.conf", Content: content}
}

// lastOf is the last host address of a subnet: the one that is given out last.
func lastOf(p netip.Prefix) netip.Addr { return snap.LastAddr(p).Prev() }
