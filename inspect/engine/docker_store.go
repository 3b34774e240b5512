package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/engine/boltfile"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// libnetwork's store: one bucket, keys like paths, values of JSON behind the
// 8 bytes of an index (moby daemon/libnetwork/internal/kvstore/boltdb).
const (
	networkStore  = "network/files/local-kv.db"
	networkKeys   = "docker/network/v1.0/network/"
	endpointKeys  = "docker/network/v1.0/endpoint/"
	sandboxKeys   = "docker/network/v1.0/sandbox/"
	networkBucket = "libnetwork"
	storeIndex    = 8 // bytes before the JSON of a value
)

// storedNetwork is a network as libnetwork keeps it (daemon/libnetwork/network.go:
// MarshalJSON). The pools are JSON in strings.
type storedNetwork struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Created      string            `json:"created"`
	NetworkType  string            `json:"networkType"`
	Scope        string            `json:"scope"`
	EnableIPv6   bool              `json:"enableIPv6"`
	Internal     bool              `json:"internal"`
	Ingress      bool              `json:"ingress"`
	ConfigOnly   bool              `json:"configOnly"`
	InDelete     bool              `json:"inDelete"`
	Labels       map[string]string `json:"labels"`
	IPAMV4Config string            `json:"ipamV4Config"`
	IPAMV6Config string            `json:"ipamV6Config"`
	IPAMV4Info   string            `json:"ipamV4Info"`
	IPAMV6Info   string            `json:"ipamV6Info"`
	Generic      map[string]any    `json:"generic"`
}

// network turns it into what the API would have said.
func (s *storedNetwork) network() snap.Network {
	d := dockerNetwork{
		ID: s.ID, Name: s.Name, Created: s.Created, Scope: s.Scope, Driver: s.NetworkType,
		EnableIPv6: s.EnableIPv6, Internal: s.Internal, Ingress: s.Ingress, Labels: s.Labels,
		Options: map[string]string{},
	}
	if opts, ok := s.Generic["com.docker.network.generic"].(map[string]any); ok {
		for k, v := range opts {
			if v, ok := v.(string); ok {
				d.Options[k] = v
			}
		}
	}
	d.IPAM.Config = append(storedPools(s.IPAMV4Config, s.IPAMV4Info), storedPools(s.IPAMV6Config, s.IPAMV6Info)...)
	return d.network()
}

// storedPools joins what was asked for and what was given: pool and gateway
// are in the latter, the range in the former, at the same place of the list.
func storedPools(config, info string) []dockerPool {
	var asked []struct {
		SubPool      string
		AuxAddresses map[string]string
	}
	var given []struct{ IPAMData string }
	_ = json.Unmarshal([]byte(config), &asked) // nothing asked for
	_ = json.Unmarshal([]byte(info), &given)   // nothing given: no pools
	var out []dockerPool
	for i, g := range given {
		var data struct{ Pool, Gateway string }
		if json.Unmarshal([]byte(g.IPAMData), &data) != nil {
			continue
		}
		p := dockerPool{Subnet: data.Pool, Gateway: data.Gateway}
		if i < len(asked) {
			p.IPRange, p.AuxiliaryAddresses = asked[i].SubPool, asked[i].AuxAddresses
		}
		out = append(out, p)
	}
	return out
}

// storedEndpoint is what the resolver knows of an endpoint
// (daemon/libnetwork/endpoint.go: MarshalJSON). dnsNames came with 25.0.
type storedEndpoint struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Anonymous bool     `json:"anonymous"`
	MyAliases []string `json:"myAliases"`
	DNSNames  []string `json:"dnsNames"`
}

func (s *storedEndpoint) names() []string {
	if len(s.DNSNames) > 0 {
		return s.DNSNames
	}
	var out []string
	if !s.Anonymous && s.Name != "" {
		out = append(out, s.Name)
	}
	for _, a := range s.MyAliases {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// storedSandbox is what the resolver of a sandbox keeps from when it was made
// (libnetwork/sandbox_store.go: sbState).
type storedSandbox struct {
	Cid     string
	ExtDNS2 []struct{ IPStr string }
}

// dockerStore is what libnetwork's file holds.
type dockerStore struct {
	networks []snap.Network
	names    map[string][]string     // of endpoints, by id
	servers  map[string][]netip.Addr // that sandboxes' resolvers forward to, by container id
}

// readDockerStore reads libnetwork's file. dockerd keeps it locked while it
// lives, stopped or not: the bytes are copied, and read without the lock.
func readDockerStore(path string) (dockerStore, error) {
	st := dockerStore{names: map[string][]string{}, servers: map[string][]netip.Addr{}}
	b, err := readFile(path, maxStore)
	if err != nil {
		return st, err
	}
	db, err := boltfile.Parse(b)
	if err != nil {
		return st, fmt.Errorf("reading %s: %w", path, err)
	}
	bucket, ok, err := db.Root().Open(networkBucket)
	if err != nil || !ok {
		return st, fmt.Errorf("reading %s: bucket %s: %w", path, networkBucket, errors.Join(err, snap.ErrNotFound))
	}
	list, err := bucket.Entries()
	if err != nil {
		return st, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, e := range list {
		if len(e.Value) <= storeIndex {
			continue
		}
		v := e.Value[storeIndex:]
		switch key := string(e.Key); {
		case strings.HasPrefix(key, networkKeys):
			var n storedNetwork
			if json.Unmarshal(v, &n) == nil && isID(n.ID) && !n.ConfigOnly && !n.InDelete {
				st.networks = append(st.networks, n.network())
			}
		case strings.HasPrefix(key, endpointKeys):
			var ep storedEndpoint
			if json.Unmarshal(v, &ep) == nil && ep.ID != "" {
				st.names[ep.ID] = ep.names()
			}
		case strings.HasPrefix(key, sandboxKeys):
			var sb storedSandbox
			if json.Unmarshal(v, &sb) != nil {
				continue
			}
			for _, x := range sb.ExtDNS2 {
				if a, err := netip.ParseAddr(x.IPStr); err == nil && sb.Cid != "" {
					st.servers[sb.Cid] = append(st.servers[sb.Cid], a)
				}
			}
		}
	}
	return st, nil
}

// keptServers fills in which servers the containers' resolvers forward to: those of the
// host's resolv.conf when they were started, which may name others by now. From 25 on
// the container's resolv.conf tells; where the store can't be read the host's stands in.
func (r *dockerRead) keptServers() {
	if v := major(r.e.Version); v == 0 || v >= 25 || !slices.ContainsFunc(r.res.Containers, func(c snap.Container) bool { return c.Running() && len(c.DNS) == 0 }) {
		return
	}
	st, err := readDockerStore(r.m.files(r.process(), filepath.Join(r.e.DataRoot, networkStore)))
	if err != nil {
		return
	}
	for i := range r.res.Containers {
		if c := &r.res.Containers[i]; len(c.DNS) == 0 {
			c.Upstreams = st.servers[c.ID]
		}
	}
}

// offlineNetworks reads the networks of the data roots; where that fails, they
// are put together from the endpoints of the containers.
func (r *dockerRead) offlineNetworks(roots []string) {
	p := r.process()
	read := false
	for _, root := range roots {
		st, err := readDockerStore(r.m.files(p, filepath.Join(root, networkStore)))
		if err != nil {
			r.gap("docker networks", err)
			continue
		}
		read = true
		r.res.Networks = append(r.res.Networks, st.networks...)
		for i := range r.res.Containers {
			for j := range r.res.Containers[i].Endpoints {
				ep := &r.res.Containers[i].Endpoints[j]
				if names := st.names[ep.ID]; len(names) > 0 {
					ep.DNSNames = names
				}
			}
		}
	}
	if !read {
		r.res.Networks = append(r.res.Networks, networksOfEndpoints(r.res.Containers)...)
	}
}

// networksOfEndpoints makes networks of what the containers tell: name, id,
// pool and gateway. The driver and all options stay unknown, but for the three
// networks that every Docker has.
func networksOfEndpoints(list []snap.Container) []snap.Network {
	var out []snap.Network
	for _, c := range list {
		for _, ep := range c.Endpoints {
			if ep.NetworkID == "" || slices.ContainsFunc(out, func(n snap.Network) bool { return n.ID == ep.NetworkID }) {
				continue
			}
			n := snap.Network{Engine: c.Engine, ID: ep.NetworkID, Name: ep.Network, ICC: true}
			switch ep.Network {
			case "bridge", "host":
				n = (&dockerNetwork{ID: ep.NetworkID, Name: ep.Network, Driver: ep.Network}).network()
			case "none":
				n = (&dockerNetwork{ID: ep.NetworkID, Name: ep.Network, Driver: "null"}).network()
			}
			for _, x := range []struct {
				p  netip.Prefix
				gw netip.Addr
			}{{ep.IPv4, ep.Gateway4}, {ep.IPv6, ep.Gateway6}} {
				if x.p.IsValid() {
					n.Pools = append(n.Pools, snap.Pool{Subnet: x.p.Masked(), Gateway: x.gw})
				}
			}
			out = append(out, n)
		}
	}
	return out
}
