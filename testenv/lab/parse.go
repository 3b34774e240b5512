package lab

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ParseSpec reads a practice host in words, one thing a line:
//
//	network app br-app 172.20.0.0/24
//	container web app 172.20.0.12 tcp:80 8080:80
//
// A network's gateway is its first address. What follows a container's address
// is what it serves (serve.Parse), or HOSTPORT:PORT, which it publishes.
func ParseSpec(text string) (Spec, error) {
	var s Spec
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		var err error
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
		case f[0] == "network" && len(f) == 4:
			var p netip.Prefix
			p, err = netip.ParsePrefix(f[3])
			s.Networks = append(s.Networks, Network{Name: f[1], Bridge: f[2], Subnet: p.Masked(), Gateway: p.Masked().Addr().Next()})
		case f[0] == "container" && len(f) >= 4:
			c := Container{Name: f[1], Network: f[2]}
			if c.Addr, err = netip.ParseAddr(f[3]); err == nil {
				err = c.words(f[4:])
			}
			s.Containers = append(s.Containers, c)
		default:
			err = fmt.Errorf("want network NAME BRIDGE SUBNET or container NAME NETWORK ADDRESS WHAT…")
		}
		if err != nil {
			return s, fmt.Errorf("%q: %w", strings.TrimSpace(line), err)
		}
	}
	return s, nil
}

// words reads what a container serves and publishes.
func (c *Container) words(list []string) error {
	for _, w := range list {
		if strings.HasPrefix(w, "tcp:") || strings.HasPrefix(w, "udp:") {
			c.Listen = append(c.Listen, w)
			continue
		}
		from, to, _ := strings.Cut(w, ":")
		hp, err1 := strconv.ParseUint(from, 10, 16)
		cp, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%s is neither PROTO:PORT nor HOSTPORT:PORT", w)
		}
		c.Publish = append(c.Publish, snap.Port{Proto: snap.TCP, HostIP: hostAddr.Addr(), HostPort: uint16(hp), ContainerPort: uint16(cp)})
	}
	return nil
}
