package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/testenv/serve"
)

// serveZone serves a child's names on its addresses.
func serveZone(ctx context.Context, c *childSpec) error {
	zone := serve.Zone{}
	for name, list := range c.DNS {
		for s := range strings.SplitSeq(list, ",") {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return fmt.Errorf("address of %s: %w", name, err)
			}
			zone[strings.ToLower(dns.Fqdn(name))] = append(zone[strings.ToLower(dns.Fqdn(name))], a)
		}
	}
	for _, l := range c.Listen53 {
		ap, err := netip.ParseAddrPort(l)
		if err != nil {
			return fmt.Errorf("serving DNS: %w", err)
		}
		if err := serve.DNS(ctx, ap, func() serve.Zone { return zone }, netip.AddrPort{}); err != nil {
			return err
		}
	}
	return nil
}
