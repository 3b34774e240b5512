package kernel

import (
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RouteQuery is one packet whose route is asked for. The zero value of
// everything but Dst means "not given".
type RouteQuery struct {
	Dst, Src netip.Addr
	// Iif is the device it came in by; 0 asks as a local sender. Oif is the
	// device that a local sender is bound to.
	Iif, Oif     int
	Mark         uint32
	Proto        snap.Proto
	Sport, Dport uint16
}

// Options say how a namespace is read. The zero value reads everything.
type Options struct {
	// Light reads links, addresses and netns ids only.
	Light bool
	// Host reads the sysctls that matter on a host only, and those of devices
	// that are yet to come.
	Host bool
	// Peers are the namespaces that netns ids may stand for, the host's first.
	Peers []*ns.Handle
	// Procs finds the processes of sockets; nil: none are found.
	Procs *ns.Procs
	// NoConntrack leaves the connections out.
	NoConntrack bool
	// NoRuleset leaves the rule set out.
	NoRuleset bool
	// Torn, if not nil, is raised by each dump that had to be begun anew.
	Torn *atomic.Int64
}

// InodeID is how a namespace is called that has no better name.
func InodeID(inode uint64) string { return "ns:" + strconv.FormatUint(inode, 10) }
