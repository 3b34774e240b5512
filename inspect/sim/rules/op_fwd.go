package rules

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fwdOp sends the packet out of another device (net/netfilter/nft_fwd_netdev.c).
type fwdOp struct{ *snap.Fwd }

func (o fwdOp) exec(m *machine) ctl {
	b := ending{Verdict: "stolen"}
	if v, unknown, ok := m.load32(o.Dev); ok && unknown == 0 {
		b.FwdTo = int(v)
	}
	return m.finish(b)
}
