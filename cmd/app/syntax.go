package app

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// spec is a TARGET taken apart by its form alone, before anything is looked up.
type spec struct {
	Text   string // as typed
	Scheme string // "docker", "netns", "pid", "net" …; "" for none
	Name   string // what is left of scheme, port and protocol
	Addr   netip.Addr
	Port   uint16     // 0: none given
	Proto  snap.Proto // "" none given
}

// schemes are the words that may stand before a name. Engines' names are those
// of snap.Engine.Name.
func schemes() []string {
	return []string{"docker", "podman", "containerd", "nerdctl", "cni", "self", "container", "netns", "pid", "net"}
}

// protos are the protocols that may stand behind a slash.
func protos() []snap.Proto { return []snap.Proto{snap.TCP, snap.UDP, snap.SCTP, snap.ICMP} }

// parse takes a TARGET apart; with dst, a port and a protocol may follow it.
func parse(text string, dst bool) (spec, error) {
	s := spec{Text: text}
	rest := text
	if strings.TrimSpace(text) != text || text == "" {
		return s, snap.Hint(Usagef("%q is no target", text), "netdoctor help targets")
	}
	if a, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
		s.Addr, s.Name = a, rest
		return s, nil
	}
	if dst {
		if i := strings.LastIndexByte(rest, '/'); i >= 0 {
			p := snap.Proto(strings.ToLower(rest[i+1:]))
			if p == snap.ICMPv6 {
				p = snap.ICMP
			}
			if slices.Contains(protos(), p) {
				s.Proto, rest = p, rest[:i]
			} else if !strings.Contains(rest, ":/") {
				return s, snap.Hint(Usagef("%q: protocol %q is not known", text, rest[i+1:]), "one of tcp, udp, sctp, icmp: db:5432/tcp, host/icmp")
			}
		}
	}
	scheme, name, ok := strings.Cut(rest, ":")
	switch {
	case ok && slices.Contains(schemes(), strings.SplitN(scheme, "@", 2)[0]):
		s.Scheme, rest = scheme, name
	case ok && isAddress(name) && !isAddress(rest):
		return s, snap.Hint(Usagef("%q: %q is no kind of target", text, scheme), "an address stands by itself: "+name)
	}
	if dst {
		var err error
		if rest, err = s.cutPort(rest); err != nil {
			return s, err
		}
		switch {
		case s.Proto == snap.ICMP && s.Port != 0:
			return s, Usagef("%q: ICMP has no ports", text)
		case s.Port == 0 && s.Proto != "" && s.Proto != snap.ICMP:
			return s, snap.Hint(Usagef("%q: %s needs a port", text, s.Proto), "as in "+rest+":80/"+string(s.Proto))
		}
	}
	s.Name = rest
	if s.Scheme == "" {
		if a, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
			s.Addr = a
		}
	}
	if rest == "" {
		return s, Usagef("%q names nothing", text)
	}
	return s, nil
}

// isAddress says whether a text is an address, perhaps with a port.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		_, err = netip.ParseAddrPort(text)
	}
	return err == nil
}

// services are the ports of services by name, those that URLs begin with among them
// (IANA's registry). Reading /etc/services would make a target's meaning this machine's.
const services = " http:80 https:443 ws:80 wss:443 ssh:22 dns:53 domain:53 smtp:25 ldap:389 ldaps:636 mysql:3306 postgres:5432 postgresql:5432 redis:6379 amqp:5672 mongodb:27017 "

// servicePort is the port of a service, "" for none that is known.
func servicePort(name string) string {
	_, rest, ok := strings.Cut(services, " "+strings.ToLower(name)+":")
	if !ok {
		return ""
	}
	return rest[:strings.IndexByte(rest, ' ')]
}

// plainDest writes a destination with the number of its port: "http://web/" is web:80, and
// so is "web:http"; all others stay as they are.
func plainDest(text string) (string, error) {
	out := text
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		rest = rest[:strings.IndexAny(rest+"/", "/?#")]
		out = rest[strings.LastIndexByte(rest, '@')+1:] // whose name and word come before it
		proto := snap.Proto(strings.ToLower(scheme))
		if strings.LastIndexByte(out, ':') <= strings.LastIndexByte(out, ']') {
			port := servicePort(scheme)
			if port == "" {
				return text, snap.Hint(Usagef("%q: which port %s is for is not known", text, scheme), "say the port: "+out+":PORT")
			}
			out += ":" + port
		}
		if slices.Contains(protos(), proto) {
			out += "/" + string(proto)
		}
	}
	if host, port, ok := lastCut(out, ":"); ok && !slices.Contains(schemes(), strings.SplitN(host, "@", 2)[0]) {
		name, proto, _ := strings.Cut(port, "/")
		if n := servicePort(name); n != "" {
			out = host + ":" + n + strings.TrimSuffix("/"+proto, "/")
		}
	}
	return out, nil
}

// cutPort takes a port off the end.
func (s *spec) cutPort(rest string) (string, error) {
	if _, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
		return rest, nil
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return rest, nil
	}
	n, err := strconv.ParseUint(rest[i+1:], 10, 16)
	if err != nil || n == 0 {
		return rest, snap.Hint(Usagef("%q: %q is no port", s.Text, rest[i+1:]), "a number from 1 to 65535, or a service such as http, https, postgres, redis; IPv6 addresses with a port in brackets: [2001:db8::1]:80")
	}
	s.Port = uint16(n)
	return rest[:i], nil
}

// proto is the protocol, with cli.md's defaults: tcp with a port, icmp without.
func (s *spec) proto() snap.Proto {
	switch {
	case s.Proto != "":
		return s.Proto
	case s.Port != 0:
		return snap.TCP
	}
	return snap.ICMP
}
