package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4402: a name server is open to the world.
//
// A resolver that answers the whole Internet is used to flood others: a question
// with a forged source of 40 bytes makes an answer of thousands. dnsmasq, Pi-hole,
// AdGuard or a DNS container published at all addresses do that when no rule keeps
// strangers out. netdoctor follows a question from outside to port 53 of this host.
//
// See it by hand:
//
//	ss -lnup 'sport = 53'; docker port NAME
//	from another network: dig @THIS-HOST example.com
//
// Sources: RFC 5358; BCP 140
func nd4402() diag.Check {
	return diag.Check{
		Code: "ND4402", Name: "open-resolver", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "A name server answers whoever asks from outside",
		Detect: func(in *diag.Input) []diag.Finding {
			host := in.Snap.HostNs()
			if host == nil {
				return nil
			}
			var out []diag.Finding
			seen := map[string]bool{}
			for i := range host.Sockets {
				s := &host.Sockets[i]
				ip := s.Local.Addr().Unmap()
				if s.Proto != snap.UDP || s.Local.Port() != 53 || ip.IsLoopback() || s.Remote.IsValid() {
					continue
				}
				who := "a server"
				if s.Process != nil {
					who = s.Process.Name
				}
				if c, _, ok := in.PublishedAt(ip, 53, snap.UDP); c != nil && (ok || ip.IsUnspecified()) {
					who = c.Name
				}
				for _, up := range diag.Uplinks(in.Snap) {
					from := fromUplink(in, up, ip, snap.UDP, 53)
					if from == "" && ip == netip.IPv6Unspecified() && !s.V6Only { // it takes IPv4, too
						from = fromUplink(in, up, netip.IPv4Unspecified(), snap.UDP, 53)
					}
					if from == "" || seen[who+up.Name] {
						continue
					}
					seen[who+up.Name] = true
					out = append(out, diag.Finding{
						Severity: severityOf(from, up),
						Summary:  fmt.Sprintf("the name server of %s at %s answers %s", who, s.Local, from),
						Cause:    "it listens at an address that the outside reaches, and no rule stops questions",
						Subject:  diag.Subject{Kind: "port", Name: "53/udp/" + who, Netns: host.ID},
						Evidence: []diag.Evidence{ev("ss -lnup 'sport = 53'", fmt.Sprintf("UNCONN %s %s", s.Local, who), snap.RefItem(host.ID, "socket", i))},
						Advice:   "bind it to the addresses that it is for (dnsmasq: interface= with bind-interfaces; docker run -p 127.0.0.1:53:53/udp), or accept port 53 from your own networks only",
						Weight:   35,
					})
				}
			}
			return out
		},
	}
}

// severityOf tells the Internet, a warning, from neighbours, a note.
func severityOf(from string, up *snap.Link) diag.Severity {
	if from == "anyone by "+up.Name {
		return diag.Warning
	}
	return diag.Info
}
