package v1

// KindMap is the kind of the answer of map.
const KindMap = "MapResult"

// MapResult is the answer of map: what is connected to what.
type MapResult struct {
	Head
	// The host in one line's worth of facts.
	Host HostInfo `json:"host"`
	// The things, the host first, then uplinks, networks, and what is on each.
	Nodes []MapNode `json:"nodes"`
	// The path asked for with --highlight; null when none was.
	Path *MapPath `json:"path"`
	Tail
}

// MapNode is one thing on the map.
type MapNode struct {
	// Unique on this map.
	ID string `json:"id"`
	// host, uplink, internet, network, container or netns.
	Kind string `json:"kind" enum:"host,uplink,internet,network,container,netns"`
	// The node it hangs on: a container's network, a network's host; empty for the internet.
	On string `json:"on"`
	// What it is called.
	Name string `json:"name"`
	// Its network namespace; empty when it has none.
	Netns string `json:"netns"`
	// The device that joins it to what it hangs on: a bridge, a veth's far end.
	Device string `json:"device"`
	// Its addresses there.
	Addresses []string `json:"addresses"`
	// Published ports.
	Ports []string `json:"ports"`
	// running, exited, up, down, bridge, macvlan and so on.
	State string `json:"state"`
	// Codes of the findings that are about it.
	Findings []string `json:"findings"`
	// The worst of them: error, warning, info; empty when there is none.
	Severity string `json:"severity"`
}

// MapPath is a traced path on the map.
type MapPath struct {
	// The sender.
	From string `json:"from"`
	// The destination.
	To string `json:"to"`
	// The verdict of the trace.
	Verdict string `json:"verdict"`
	// The nodes in the order in which the packet passes them.
	Nodes []string `json:"nodes"`
	// The node at which it ends when it is not delivered; empty otherwise.
	Broken string `json:"broken"`
	// Why it ends there; empty when it is delivered.
	Why string `json:"why"`
	// Code of the finding that explains it; empty when none does.
	Code string `json:"code"`
}
