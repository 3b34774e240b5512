package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5402: the engine's API is served by TCP to whoever comes.
//
// Who may use Docker's API is root on this host: it starts a privileged container
// with / mounted. With -H tcp://… and without --tlsverify nobody is asked who he is
// (--tls alone encrypts, and lets everybody in). Containers reach a port on all
// addresses by their gateway; on 127.0.0.1 it is open to every local user and to
// containers in the host's network.
//
// See it by hand:
//
//	ss -lntp | grep dockerd
//	curl http://HOST:2375/version           must fail
//	tr '\0' ' ' < /proc/$(pidof dockerd)/cmdline; cat /etc/docker/daemon.json
//
// Sources: docs.docker.com: Protect the Docker daemon socket; dockerd(8)
func nd5402() diag.Check {
	return diag.Check{
		Code: "ND5402", Name: "api-open", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title:  "The engine's API is served by TCP without asking for a certificate",
		Detect: detectND5402,
	}
}

func detectND5402(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for i := range in.Snap.Engines {
		e := &in.Snap.Engines[i]
		if e.Remote || e.TLSVerify || host == nil {
			continue
		}
		for _, h := range e.Hosts {
			addr, ok := strings.CutPrefix(h, "tcp://")
			colon := strings.LastIndexByte(addr, ':')
			if !ok || colon < 0 {
				continue
			}
			name := strings.Trim(addr[:colon], "[]")
			if name == "localhost" {
				name = "127.0.0.1"
			}
			n, err := strconv.ParseUint(addr[colon+1:], 10, 16)
			ip, bad := netip.ParseAddr(name)
			if err != nil || bad != nil && name != "" {
				continue
			}
			if name == "" {
				ip = netip.IPv4Unspecified()
			}
			f := diag.Finding{
				Summary:  fmt.Sprintf("%s's API is open at %s to whoever reaches it: that is root on this host", title(e.Name), addr),
				Cause:    "the daemon was told -H " + h + " without --tlsverify",
				Subject:  diag.Subject{Kind: "engine", Name: e.Name, Netns: host.ID},
				Evidence: []diag.Evidence{ev("ps -o args -C dockerd", "-H "+h, snap.RefEngine(e.Name))},
				Advice:   "serve it at the unix socket alone and reach it by ssh (docker -H ssh://user@host), or add --tlsverify with certificates",
				Weight:   60,
			}
			from := reachers(in, ip, uint16(n))
			if ip == netip.IPv6Unspecified() { // one socket for both families
				for _, w := range reachers(in, netip.IPv4Unspecified(), uint16(n)) {
					if !slices.Contains(from, w) {
						from = append(from, w)
					}
				}
			}
			if ip.Unmap().IsLoopback() {
				f.Summary = fmt.Sprintf("%s's API is open at %s to every local user and to containers in the host's network: that is root on this host", title(e.Name), addr)
			} else if len(from) > 0 {
				f.Summary += fmt.Sprintf(" (%s)", strings.Join(from, "; "))
			}
			out = append(out, f)
		}
	}
	return out
}
