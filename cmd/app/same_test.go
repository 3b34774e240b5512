package app

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

func TestSameAs(t *testing.T) {
	t.Parallel()
	rule := func(name, text string) *diag.Finding {
		return &diag.Finding{Code: "ND3102", Subject: diag.Subject{Kind: "rule", Name: name, Netns: "host"}, Evidence: []diag.Evidence{{Text: text}}}
	}
	link := func(name string) *diag.Finding {
		return &diag.Finding{Code: "ND1101", Subject: diag.Subject{Kind: "link", Name: name, Netns: "host"}, Evidence: []diag.Evidence{{Text: name}}}
	}
	for name, c := range map[string]struct {
		a, b *diag.Finding
		want bool
	}{
		"a rule that moved up":               {rule("nft ip acct out rule 2", "udp drop"), rule("nft ip acct out rule 1", "udp drop"), true},
		"the next rule in the place of one":  {rule("nft ip acct out rule 1", "udp drop"), rule("nft ip acct out rule 1", "tcp drop"), false},
		"the same text in another chain":     {rule("nft ip acct in rule 1", "udp drop"), rule("nft ip acct out rule 1", "udp drop"), false},
		"a rule by its reference":            {rule("netns/host/nft/ip/nat/PRE/rule/3", "dnat"), rule("netns/host/nft/ip/nat/PRE/rule/2", "dnat"), true},
		"a device is known by its own name":  {link("br-1"), link("br-1"), true},
		"devices whose names end in numbers": {link("br-1"), link("br-2"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sameAs(c.a, c.b); got != c.want {
				t.Errorf("sameAs is %v, want %v", got, c.want)
			}
		})
	}
}
