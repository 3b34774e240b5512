package diag_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// However the way from 127.0.0.11:53 to the daemon's sockets is cut, the fix
// makes names resolve again in the model.
func TestTheWayToTheEmbeddedResolverIsMended(t *testing.T) {
	t.Parallel()
	nat := func(s *snap.Snapshot) *snap.Table {
		return s.Ns("client").Ruleset.Table(snap.IPTablesNFT, snap.IPv4, "nat")
	}
	gone := func(s *snap.Snapshot) {
		ns := s.Ns("client")
		ns.Ruleset.Tables = nil
	}
	for _, tt := range []struct {
		name  string
		cut   func(s *snap.Snapshot)
		shell string // a line that the fix must have
	}{
		{"the rules were flushed", func(s *snap.Snapshot) {
			for i := range nat(s).Chains {
				nat(s).Chains[i].Rules = nil
			}
		}, "iptables -t nat -I OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"},
		{"the table is gone", gone, "iptables -t nat -N DOCKER_OUTPUT"},
		{"the jump is gone", func(s *snap.Snapshot) { nat(s).Chain("OUTPUT").Rules = nil }, "iptables -t nat -I OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"},
		{"the rules lead to an old port", func(s *snap.Snapshot) {
			for i := range s.Ns("client").Sockets {
				if x := &s.Ns("client").Sockets[i]; x.Local.Addr().String() == "127.0.0.11" {
					x.Local = netip.AddrPortFrom(x.Local.Addr(), x.Local.Port()+1)
				}
			}
		}, "--dport 53 -j DNAT --to-destination 127.0.0.11:"},
		{"the nftables backend's table is gone", func(s *snap.Snapshot) {
			gone(s)
			s.Engines[0].Rules = "docker-nft"
		}, "nft add rule ip docker-dns dns-dnat ip daddr 127.0.0.11 udp dport 53 counter dnat to 127.0.0.11:"},
	} {
		s := recorded(t)
		tt.cut(s)
		in := diag.Build(s, nil, diag.Options{})
		var fix *diag.Fix
		for _, f := range diag.Run(in, checks.All()).Findings {
			if f.Code == "ND4201" && f.Subject.Netns == "client" {
				fix = f.Fix
			}
		}
		if fix == nil {
			t.Errorf("%s: no ND4201 with a fix", tt.name)
			continue
		}
		var lines []string
		for _, op := range fix.Ops {
			lines = append(lines, op.Shell()...)
		}
		if !strings.Contains(strings.Join(lines, "\n"), tt.shell) {
			t.Errorf("%s: the fix lacks %q:\n%s", tt.name, tt.shell, strings.Join(lines, "\n"))
		}
		then, err := in.WhatIf(fix.Ops)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for i := range then.Names {
			if n := &then.Names[i]; n.Ask.Netns == "client" && n.Bad() {
				t.Errorf("%s: afterwards %s is still bad: %+v", tt.name, n.Ask.Name, n.Path.Problem)
			}
		}
	}
}
