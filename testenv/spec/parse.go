package spec

import (
	"errors"
	"io"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads a file. Names of networks that are not "bridge", "host" or "none"
// must be in it.
func Parse(r io.Reader) (*Spec, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(r)
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &Error{Text: "the file is empty"}
		}
		return nil, &Error{Text: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fault(&more, "a second document in the file")
	}
	s := &Spec{Name: "default"}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	err := keys(root, "the file", map[string]func(*yaml.Node) error{
		"version":  func(*yaml.Node) error { return nil }, // Compose ignores it, too
		"name":     text(&s.Name),
		"networks": s.networks,
		"services": s.services,
	})
	if err == nil {
		s.complete()
		err = s.check()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Spec) networks(n *yaml.Node) error {
	return each(n, "networks", func(k, v *yaml.Node) error {
		net := Network{Name: k.Value, Line: k.Line, Driver: "bridge", Options: map[string]string{}}
		err := keys(v, "network "+k.Value, map[string]func(*yaml.Node) error{
			"name":        text(&net.Name),
			"driver":      text(&net.Driver),
			"driver_opts": pairs("=", func(_ *yaml.Node, k, v string) error { net.Options[k] = v; return nil }),
			"internal":    boolean(&net.Internal),
			"attachable":  boolean(&net.Attachable),
			"enable_ipv6": boolean(&net.IPv6),
			"ipam":        net.ipam,
			"x-peers":     net.peers,
		})
		net.Default = net.Name == "bridge" && net.Driver == "bridge"
		s.Networks = append(s.Networks, net)
		return err
	})
}

func (n *Network) ipam(v *yaml.Node) error {
	return keys(v, "ipam", map[string]func(*yaml.Node) error{
		"driver": func(v *yaml.Node) error {
			if v.Value != "default" {
				return fault(v, "ipam driver %q is not known; there is only \"default\"", v.Value)
			}
			return nil
		},
		"config": func(v *yaml.Node) error {
			if v.Kind != yaml.SequenceNode {
				return fault(v, "ipam config is to be a list")
			}
			for _, c := range v.Content {
				var p Pool
				err := keys(c, "ipam config", map[string]func(*yaml.Node) error{
					"subnet": prefix(&p.Subnet), "ip_range": prefix(&p.Range), "gateway": address(&p.Gateway),
					"aux_addresses": pairs("=", func(at *yaml.Node, k, v string) error {
						a, err := netip.ParseAddr(v)
						if err != nil {
							return fault(at, "%q is no address", v)
						}
						if p.Aux == nil {
							p.Aux = map[string]netip.Addr{}
						}
						p.Aux[k] = a
						return nil
					}),
				})
				if err != nil {
					return err
				}
				if !p.Subnet.IsValid() {
					return fault(c, "ipam config without a subnet")
				}
				n.Pools = append(n.Pools, p)
			}
			return nil
		},
	})
}

// peers are the containers of an overlay network that other hosts have.
func (n *Network) peers(v *yaml.Node) error {
	n.Peers = map[netip.Addr]netip.Addr{}
	return each(v, "x-peers", func(k, v *yaml.Node) error {
		var at, host netip.Addr
		if err := address(&at)(k); err != nil {
			return err
		}
		if err := address(&host)(v); err != nil {
			return err
		}
		n.Peers[at] = host
		return nil
	})
}

// complete adds the network that services without one are on, as Compose does,
// and gives the network modes their networks.
func (s *Spec) complete() {
	for i := range s.Services {
		v := &s.Services[i]
		switch {
		case v.NetworkMode == "bridge":
			if s.Network("bridge") == nil {
				s.Networks = append(s.Networks, Network{Name: "bridge", Driver: "bridge", Default: true})
			}
			v.Networks = []Attachment{{Network: "bridge"}}
		case v.NetworkMode != "" || len(v.Networks) > 0:
		default:
			if s.Network("default") == nil {
				s.Networks = append(s.Networks, Network{Name: "default", Driver: "bridge"})
			}
			v.Networks = []Attachment{{Network: "default"}}
		}
	}
}
