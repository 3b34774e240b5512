package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Hooks of control groups, as snap.CgroupProgram has them.
const (
	cgroupIngress = "cgroup_inet_ingress"
	cgroupEgress  = "cgroup_inet_egress"
)

// sender chooses the control group of whoever sends from a namespace, 0 for one
// without programs; when its processes are in several, all are possible.
func (r *run) sender(n *netns) uint64 {
	ids := n.n.Senders
	if len(ids) == 0 {
		return 0
	}
	i := r.choose(len(ids))
	if len(ids) > 1 {
		what := "the sender is in no control group with bpf programs"
		if g := n.n.Cgroup(ids[i]); g != nil {
			what = "the sender is in the control group " + g.Path
		}
		r.assume(n.n.ID, rules.Assumption{Key: "sender", What: what, Value: true})
	}
	return ids[i]
}

// connects runs the programs that a connect(2) or sendmsg(2) meets before there is a
// packet (net/ipv4/af_inet.c: inet_dgram_connect, tcp_v4_pre_connect; net/ipv4/udp.c:
// udp_sendmsg; net/ipv4/af_inet.c: inet_create).
func (r *run) connects(n *netns, k *skb) *fate {
	hooks := []string{"cgroup_inet_sock_create", "cgroup_inet4_connect", "cgroup_udp4_sendmsg"}
	if k.Family == snap.IPv6 {
		hooks[1], hooks[2] = "cgroup_inet6_connect", "cgroup_udp6_sendmsg"
	}
	switch k.Proto {
	case snap.IPProtoUDP:
	case snap.IPProtoTCP:
		hooks = hooks[:2]
	default:
		hooks = hooks[:1]
	}
	for _, h := range hooks {
		if f := r.cgroup(n, nil, k, h, k.Dst); f != nil {
			return f
		}
	}
	return nil
}

// cgroup runs the programs at one hook of the packet's control group (kernel/bpf/
// cgroup.c: __cgroup_bpf_run_filter_skb): one that denies is enough. peer is the
// address that systemd's lists are asked for.
func (r *run) cgroup(n *netns, dev *snap.Link, k *skb, hook string, peer netip.Addr) *fate {
	if k.group == 0 {
		return nil
	}
	g := n.n.Cgroup(k.group)
	if g == nil {
		return nil
	}
	for i := range g.Programs {
		p := &g.Programs[i]
		if p.Hook != hook || p.Always == "allow" || p.Filter != nil && p.Filter.Lets(peer) {
			continue
		}
		w := Where{Layer: "cgroup", Cause: CauseCgroup, Program: p.ID, Sender: r.reply == (hook == cgroupIngress), Detail: ProgramName(g, p) + " denies it"}
		switch hook {
		case cgroupEgress:
			w.Reason = "BPF_CGROUP_EGRESS"
		case cgroupIngress:
			w.Reason = "SOCKET_FILTER"
		default:
			w.Reason = "EPERM"
		}
		if p.Always == "deny" || p.Filter != nil {
			return r.drop(n, dev, k, w)
		}
		if r.lets(n, p) {
			continue
		}
		w.Detail = ProgramName(g, p) + " may deny it"
		if hook != cgroupEgress && hook != cgroupIngress {
			w.Detail = ProgramName(g, p) + " may refuse it, or lead it elsewhere"
		}
		return r.unknown(n, dev, k, w)
	}
	return nil
}

// lets forks over what a program that is not modelled does with the flow; what holds
// for one of its packets holds for all.
func (r *run) lets(n *netns, p *snap.CgroupProgram) bool {
	key := fmt.Sprintf("cgroup program %d", p.ID)
	if i := slices.IndexFunc(r.assumed[n.n.ID], func(a rules.Assumption) bool { return a.Key == key }); i >= 0 {
		return r.assumed[n.n.ID][i].Value
	}
	ok := r.choose(2) == 0
	r.assume(n.n.ID, rules.Assumption{Key: key, Value: ok, What: fmt.Sprintf("bpf program %d lets it through", p.ID)})
	return ok
}

// ProgramName is a program of a control group in words: what, where, and whose.
func ProgramName(g *snap.Cgroup, p *snap.CgroupProgram) string {
	at := p.At
	if at == "" {
		at = g.Path
	}
	return strings.TrimSpace(fmt.Sprintf("bpf program %d %s", p.ID, p.Name)) + fmt.Sprintf(" (%s) of the control group %s", p.Hook, shortIDs(at))
}

// shortIDs cuts the ids of containers in a path to what people call them by.
func shortIDs(at string) string {
	const long, short = 64, 12
	var out strings.Builder
	for run := 0; run < len(at); {
		n := 0
		for run+n < len(at) && strings.IndexByte("0123456789abcdef", at[run+n]) >= 0 {
			n++
		}
		if n == long {
			out.WriteString(at[run : run+short])
		} else {
			out.WriteString(at[run : run+n])
		}
		if run += n; run < len(at) {
			out.WriteByte(at[run])
			run++
		}
	}
	return out.String()
}
