package sim

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A namespace that talks to itself by lo, and what the control groups of the sender
// and of the listener do with it.
func TestCgroupPrograms(t *testing.T) {
	lo := netip.MustParseAddr("127.0.0.1")
	prog := func(hook, always string, deny ...string) snap.Cgroup {
		p := snap.CgroupProgram{Hook: hook, ID: 7, Name: "guard", At: "/a.slice", Always: always}
		if len(deny) > 0 {
			p.Filter = &snap.CgroupFilter{Deny: []netip.Prefix{netip.MustParsePrefix(deny[0])}}
		}
		return snap.Cgroup{ID: 5, Path: "/a.slice/a.service", Programs: []snap.CgroupProgram{p}}
	}
	for name, c := range map[string]struct {
		group            snap.Cgroup
		senders          []uint64
		listener         uint64
		verdict          Verdict
		reason, says     string
		bySender, byBack bool
	}{
		"nobody is in it":             {group: prog(cgroupEgress, "deny"), verdict: Delivered},
		"all is allowed":              {group: prog(cgroupEgress, "allow"), senders: []uint64{5}, verdict: Delivered},
		"the sender's sends are":      {group: prog(cgroupEgress, "deny"), senders: []uint64{5}, verdict: Dropped, reason: "BPF_CGROUP_EGRESS", says: "denies it", bySender: true},
		"the answer to him is":        {group: prog(cgroupIngress, "deny"), senders: []uint64{5}, verdict: Dropped, reason: "SOCKET_FILTER", bySender: true, byBack: true},
		"the listener hears nothing":  {group: prog(cgroupIngress, "deny"), listener: 5, verdict: Dropped, reason: "SOCKET_FILTER"},
		"the listener says nothing":   {group: prog(cgroupEgress, "deny"), listener: 5, verdict: Dropped, reason: "BPF_CGROUP_EGRESS", byBack: true},
		"a list has the peer":         {group: prog(cgroupIngress, "", "127.0.0.0/8"), listener: 5, verdict: Dropped, reason: "SOCKET_FILTER"},
		"a list has others":           {group: prog(cgroupIngress, "", "10.0.0.0/8"), listener: 5, verdict: Delivered},
		"it looks":                    {group: prog(cgroupIngress, ""), listener: 5, verdict: Unknown, says: "may deny it"},
		"connect is refused":          {group: prog("cgroup_inet4_connect", "deny"), senders: []uint64{5}, verdict: Dropped, reason: "EPERM", bySender: true},
		"connect of the other family": {group: prog("cgroup_inet6_connect", "deny"), senders: []uint64{5}, verdict: Delivered},
		"a balancer":                  {group: prog("cgroup_inet4_connect", ""), senders: []uint64{5}, verdict: Unknown, says: "lead it elsewhere", bySender: true},
		"one sender of two":           {group: prog(cgroupEgress, "deny"), senders: []uint64{0, 5}, verdict: Unknown, says: "denies it", bySender: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{
				ID: "host", Class: snap.ClassHost, Links: []snap.Link{{Index: 1, Name: "lo", Loopback: true, Up: true, Running: true, MTU: 65536}},
				Addrs:   []snap.Addr{{Index: 1, Prefix: netip.PrefixFrom(lo, 8), Scope: "host"}},
				Sockets: []snap.Socket{{Proto: snap.TCP, Family: snap.IPv4, Local: netip.AddrPortFrom(netip.IPv4Unspecified(), 80), Cgroup: c.listener}},
				Cgroups: []snap.Cgroup{c.group}, Senders: c.senders,
				Routes: []snap.Route{{Family: snap.IPv4, Table: snap.TableLocal, Type: "local", Dst: netip.PrefixFrom(lo, 8).Masked(), Scope: "host", Protocol: "kernel", Oif: 1, PrefSrc: lo}},
			}}}
			got := New(s).Trace(Flow{From: "host", Dst: lo, Dport: 80, Proto: snap.TCP})
			if got.Verdict != c.verdict {
				t.Fatalf("verdict %s, want %s; %+v", got.Verdict, c.verdict, got.Where)
			}
			if c.verdict == Delivered {
				return
			}
			w := got.Where
			if w == nil || w.Cause != CauseCgroup || w.Program != 7 || w.Netns != "host" || w.Reason != c.reason && c.verdict == Dropped || !strings.Contains(w.Detail, c.says) || w.Sender != c.bySender || w.Reply != c.byBack {
				t.Errorf("the place is %+v", w)
			}
		})
	}
}
