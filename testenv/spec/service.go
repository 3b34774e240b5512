package spec

import (
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (s *Spec) services(n *yaml.Node) error {
	return each(n, "services", func(k, v *yaml.Node) error {
		x := Service{Name: k.Value, Line: k.Line, Replicas: 1, Sysctls: map[string]string{}}
		err := keys(v, "service "+k.Value, map[string]func(*yaml.Node) error{
			"container_name": text(&x.ContainerName),
			"hostname":       text(&x.Hostname),
			"networks":       x.networks,
			"network_mode":   text(&x.NetworkMode),
			"ports":          x.ports,
			"dns":            x.dns,
			"dns_search":     list(&x.DNSSearch),
			"dns_opt":        list(&x.DNSOptions),
			"extra_hosts":    x.extraHosts,
			"links":          list(&x.Links),
			"command":        x.command,
			"environment":    pairs("=", func(_ *yaml.Node, k, v string) error { x.Environment = append(x.Environment, k+"="+v); return nil }),
			"scale":          number(&x.Replicas, 0, 10000),
			"replicas":       number(&x.Replicas, 0, 10000),
			"sysctls":        pairs("=", func(_ *yaml.Node, k, v string) error { x.Sysctls[k] = v; return nil }),
			"deploy":         x.deploy,
		})
		s.Services = append(s.Services, x)
		return err
	})
}

func (x *Service) deploy(n *yaml.Node) error {
	return keys(n, "deploy", map[string]func(*yaml.Node) error{
		"replicas": number(&x.Replicas, 0, 10000),
		"endpoint_mode": func(n *yaml.Node) error {
			if n.Value != "vip" && n.Value != "dnsrr" {
				return fault(n, "endpoint_mode is vip or dnsrr, not %q", n.Value)
			}
			x.RoundRobin = n.Value == "dnsrr"
			return nil
		},
	})
}

// networks are names in a list, or a mapping with options.
func (x *Service) networks(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		var l []string
		if err := list(&l)(n); err != nil {
			return err
		}
		for _, name := range l {
			x.Networks = append(x.Networks, Attachment{Network: name})
		}
		return nil
	}
	return each(n, "networks", func(k, v *yaml.Node) error {
		a := Attachment{Network: k.Value}
		err := keys(v, "network "+k.Value, map[string]func(*yaml.Node) error{
			"aliases": list(&a.Aliases), "ipv4_address": address(&a.IPv4), "ipv6_address": address(&a.IPv6),
			"mac_address": text(&a.MAC), "gw_priority": number(&a.Priority, -1<<31, 1<<31-1),
		})
		x.Networks = append(x.Networks, a)
		return err
	})
}

func (x *Service) dns(n *yaml.Node) error {
	var l []string
	if err := list(&l)(n); err != nil {
		return err
	}
	for _, v := range l {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return fault(n, "dns: %q is no address", v)
		}
		x.DNS = append(x.DNS, a)
	}
	return nil
}

func (x *Service) extraHosts(n *yaml.Node) error {
	put := func(at *yaml.Node, k, v string) error {
		v = strings.Trim(v, "[]")
		if _, err := netip.ParseAddr(v); err != nil && v != "host-gateway" {
			return fault(at, "extra_hosts: %q is no address for %q", v, k)
		}
		x.ExtraHosts = append(x.ExtraHosts, k+":"+v)
		return nil
	}
	sep := ":"
	if n.Kind == yaml.SequenceNode && len(n.Content) > 0 && strings.Contains(n.Content[0].Value, "=") {
		sep = "="
	}
	return pairs(sep, put)(n)
}

// command is a list, or a line in the words of a shell.
func (x *Service) command(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return list(&x.Command)(n)
	}
	words, ok := words(n.Value)
	if !ok || len(words) == 0 {
		return fault(n, "command %q has an open quote, or nothing in it", n.Value)
	}
	x.Command = words
	return nil
}

// words splits a line at blanks, with the quotes and backslashes of a shell and
// nothing else of one.
func words(line string) (out []string, ok bool) {
	var cur strings.Builder
	var quote rune
	any, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			cur.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, any = true, true
		case quote != 0:
			if r == quote {
				quote = 0
				continue
			}
			cur.WriteRune(r)
		case r == '\'' || r == '"':
			quote, any = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if any {
				out = append(out, cur.String())
			}
			cur.Reset()
			any = false
		default:
			cur.WriteRune(r)
			any = true
		}
	}
	if any {
		out = append(out, cur.String())
	}
	return out, quote == 0 && !escaped
}

func (x *Service) ports(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fault(n, "ports is to be a list")
	}
	for _, v := range n.Content {
		v = resolved(v)
		if v.Kind == yaml.MappingNode {
			if err := x.longPort(v); err != nil {
				return err
			}
			continue
		}
		p, err := Ports(v.Value)
		if err != nil {
			return fault(v, "%v", err)
		}
		x.Ports = append(x.Ports, p...)
	}
	return nil
}

func (x *Service) longPort(v *yaml.Node) error {
	var target, published, ip, proto, name string
	if err := keys(v, "port", map[string]func(*yaml.Node) error{
		"target": text(&target), "published": text(&published), "host_ip": text(&ip), "protocol": text(&proto), "name": text(&name),
		"mode": func(n *yaml.Node) error {
			if n.Value != "host" {
				return fault(n, "mode %q of a port is not known here; there is only \"host\"", n.Value)
			}
			return nil
		},
	}); err != nil {
		return err
	}
	line := target
	if published != "" || ip != "" {
		line = published + ":" + line
	}
	if strings.Contains(ip, ":") {
		ip = "[" + ip + "]"
	}
	if ip != "" {
		line = ip + ":" + line
	}
	if proto != "" {
		line += "/" + proto
	}
	p, err := Ports(line)
	if err != nil {
		return fault(v, "%v", err)
	}
	x.Ports = append(x.Ports, p...)
	return nil
}

// Ports reads [[IP:][HOSTPORT[-HOSTPORT]]:]PORT[-PORT][/PROTO], one Port for each.
func Ports(s string) ([]Port, error) {
	bad := func(why string) ([]Port, error) { return nil, &Error{Text: "port " + strconv.Quote(s) + ": " + why} }
	rest, proto, has := strings.Cut(s, "/")
	if !has {
		proto = "tcp"
	}
	if proto = strings.ToLower(proto); proto != "tcp" && proto != "udp" && proto != "sctp" {
		return bad("the protocol is tcp, udp or sctp")
	}
	i := strings.LastIndexByte(rest, ':')
	to, okTo := portRange(rest[i+1:])
	if !okTo {
		return bad("ports are numbers from 1 to 65535")
	}
	base := Port{Proto: proto}
	host := [2]int{}
	if i >= 0 {
		left := rest[:i]
		j := strings.LastIndexByte(left, ':')
		if k := strings.LastIndexByte(left, ']'); k > j {
			j = -1 // no host port behind a bracketed address
			left = ""
		}
		if j >= 0 {
			ip := strings.Trim(left[:j], "[]")
			a, err := netip.ParseAddr(ip)
			if err != nil || a.Zone() != "" {
				return bad(strconv.Quote(ip) + " is no address")
			}
			base.HostIP, left = a, left[j+1:]
		}
		if left != "" {
			var ok bool
			if host, ok = portRange(left); !ok {
				return bad("ports are numbers from 1 to 65535")
			}
			if host[1]-host[0] != to[1]-to[0] && to[0] != to[1] {
				return bad("the two ranges are of different lengths")
			}
			if to[0] == to[1] && host[0] != host[1] {
				return bad("a range of host ports for one port of the container")
			}
		}
	}
	var out []Port
	for n := 0; n <= to[1]-to[0]; n++ {
		p := base
		p.ContainerPort = uint16(to[0] + n)
		if host[0] != 0 {
			p.HostPort = uint16(host[0] + n)
		}
		out = append(out, p)
	}
	return out, nil
}

func portRange(s string) (r [2]int, ok bool) {
	lo, hi, ranged := strings.Cut(s, "-")
	if !ranged {
		hi = lo
	}
	var err1, err2 error
	r[0], err1 = strconv.Atoi(lo)
	r[1], err2 = strconv.Atoi(hi)
	return r, err1 == nil && err2 == nil && r[0] >= 1 && r[1] <= 65535 && r[0] <= r[1]
}
