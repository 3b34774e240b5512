package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/intent"
)

// nd6103: what netdoctor set up is not as it was made.
//
// netdoctor keeps what it set up, and can work out from it every device, address,
// route, setting and socket that its networks and containers should have. One of
// them is missing or was changed by another program: an administrator's script, a
// network manager that took a bridge for its own, a killed helper (the process that
// answers names at 127.0.0.11 in the containers). The fix makes just those things
// again; firewall rules are the matter of ND6101.
//
// See it by hand:
//
//	netdoctor setup --check
//	ip -d link; ip addr; bridge link         against netdoctor inspect net:…
//
// Sources: moby daemon/libnetwork/drivers/bridge (what is made, and in which order),
// daemon/libnetwork/resolver_unix.go (the resolver's sockets)
func nd6103() diag.Check {
	return diag.Check{
		Code: "ND6103", Name: "own-networks-drifted", Severity: diag.Warning, Since: "0.1",
		Title:  "A network that netdoctor set up is no longer as it was made",
		Needs:  []string{"links", "namespace"},
		Detect: detectND6103,
		Fix:    func(in *diag.Input, _ *diag.Finding) []fixups.Op { return intent.Lost(in.Snap, in.Own) },
	}
}

func detectND6103(in *diag.Input) []diag.Finding {
	ops := intent.Lost(in.Snap, in.Own)
	if len(ops) == 0 {
		return nil
	}
	var parts []string
	f := diag.Finding{
		Cause:   "devices, addresses, routes, settings or sockets of networks that netdoctor set up were removed or changed by something else",
		Subject: diag.Subject{Kind: "engine", Name: ownEngine, Netns: in.Snap.Host.Netns},
		Advice:  "netdoctor setup mends it, too",
		Weight:  91,
	}
	for _, op := range ops {
		parts = append(parts, op.Describe())
		if len(f.Evidence) < 12 {
			f.Evidence = append(f.Evidence, ev("netdoctor setup --check", "not so any more: "+op.Describe(), ""))
		}
		if _, ok := op.(*fixups.HelperStart); ok {
			f.Severity = diag.Error // no name resolves
		}
	}
	const most = 3
	if n := len(parts); n > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", n-most))
	}
	f.Summary = "What netdoctor set up is not as it was made; to be done again: " + strings.Join(parts, "; ")
	return []diag.Finding{f}
}
