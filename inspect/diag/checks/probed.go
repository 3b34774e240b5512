package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// probed is a probe as evidence: what was asked of whom, and what came of it.
func probed(in *diag.Input, p *snap.Probe, came string) diag.Evidence {
	to := p.Dst.String()
	if p.Dst.Port() == 0 { // ICMP and ARP have none
		to = p.Dst.Addr().String()
	}
	return ev(fmt.Sprintf("probe %d", p.ID), fmt.Sprintf("%s to %s from %s: %s", p.Kind, to, in.Who(p.From), came), snap.RefProbe(p.ID))
}

// fared says how a probe fared that whoever was asked did not answer.
func fared(p *snap.Probe) string {
	switch {
	case p.Outcome == snap.Rejected && p.By.IsValid():
		return fmt.Sprintf("%d sent, rejected by %s", p.Sent, p.By)
	case p.Got == 0:
		return fmt.Sprintf("%d sent, no answer", p.Sent)
	}
	return fmt.Sprintf("%d sent, %d answered, %s", p.Sent, p.Got, p.Outcome)
}
