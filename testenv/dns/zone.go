package dns

import (
	"bytes"
	"net/netip"
)

// Zone is everything that one container may ask for.
type Zone struct {
	// Networks are those that the container is on, the one with its default
	// route first: the first that knows a name answers it.
	Networks []*Network

	// Links are this container's private names for others, lower case; they go
	// before names (docker run --link web:db on a custom network).
	Links map[string]string

	// Internal says that all of the container's networks are internal: nothing
	// is forwarded from the host's namespace.
	Internal bool
}

// lookup finds a lower-case name without its final dot: as it stands in every
// network, then for a.b.c as a.b in network c and a in network b.c (moby
// daemon/libnetwork/sandbox.go: ResolveName). The first network that has an
// address of the family asked for answers; else it is the first that has the
// name at all, and the answer is empty. Nil: nobody here has it.
func (z *Zone) lookup(name []byte, v6 bool) *addrs {
	miss := z.in(name, nil, v6)
	if miss.has(v6) {
		return miss
	}
	for i := bytes.LastIndexByte(name, '.'); i > 0; i = bytes.LastIndexByte(name[:i], '.') {
		a := z.in(name[:i], name[i+1:], v6)
		if a.has(v6) {
			return a
		}
		if miss == nil {
			miss = a
		}
	}
	return miss
}

// in looks in one network, or in all when network is nil. A link is looked up
// under the name that it stands for, and hides a container of its own name.
func (z *Zone) in(name, network []byte, v6 bool) *addrs {
	var miss *addrs
	to, linked := z.Links[string(name)]
	for _, n := range z.Networks {
		if network != nil && string(network) != n.name {
			continue
		}
		a := n.names[to]
		if !linked {
			a = n.names[string(name)]
		}
		if a.has(v6) {
			return a
		}
		if miss == nil {
			miss = a
		}
	}
	return miss
}

// has says whether there is an address of a family.
func (a *addrs) has(v6 bool) bool {
	switch {
	case a == nil:
		return false
	case v6:
		return len(a.v6) > 0
	}
	return len(a.v4) > 0
}

// host is the name of an address, "" for nobody's.
func (z *Zone) host(a netip.Addr) string {
	for _, n := range z.Networks {
		if h := n.hosts[a]; h != "" {
			return h
		}
	}
	return ""
}

// ports are the targets of a service record, nil for none.
func (z *Zone) ports(name []byte) ([]target, *Network) {
	for _, n := range z.Networks {
		if t := n.ports[string(name)]; t != nil {
			return t, n
		}
	}
	return nil, nil
}
