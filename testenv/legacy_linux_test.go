package testenv_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// TestLegacyTablesBeside sets up on a host whose own rules are iptables-legacy's:
// where they let packets pass everything works, and they stay as they are; where
// their policy drops what is forwarded, it is refused before the first change.
func TestLegacyTablesBeside(t *testing.T) {
	labtest.Tools(t, "iptables-legacy", "iptables-legacy-save")
	save := func() string { return sh(t, "iptables-legacy-save -t filter | grep -v '^#' | sed 's/ \\[.*//'") }
	sh(t, "iptables-legacy -A FORWARD -p tcp --dport 25 -j DROP")
	defer sh(t, "iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F")
	if !strings.Contains(save(), "--dport 25") {
		labtest.Lacking(t, "this kernel has no legacy tables: %s", save())
	}
	ctx := context.Background()
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			before, rules := dump(t), save()
			h := &testenv.Host{}
			up := func() error {
				_, err := h.Up(ctx, parse(t, "services:\n  a: {networks: [one]}\n  b: {networks: [one]}\nnetworks:\n  one: {}\n"), testenv.UpOptions{Options: testenv.Options{Like: gen}})
				return err
			}
			if err := up(); err != nil {
				t.Fatal(err)
			}
			if out, code := in(t, h, "a", "ping -c1 -W2 b"); code != 0 {
				t.Errorf("a to b: %s", out)
			}
			if d, err := h.Check(ctx); err != nil || len(d) > 0 {
				t.Errorf("drift %q, %v", d, err)
			}
			if _, err := h.Down(ctx, false); err != nil {
				t.Fatal(err)
			}
			if after := dump(t); after != before || save() != rules {
				t.Errorf("before\n%s\nafter\n%s\n%s", before, after, save())
			}
			sh(t, "iptables-legacy -P FORWARD DROP")
			defer sh(t, "iptables-legacy -P FORWARD ACCEPT")
			err := up()
			if !errors.Is(err, snap.ErrUnsupported) || !strings.Contains(err.Error(), "policy DROP") || !strings.Contains(snap.HintOf(err), "iptables-legacy -P FORWARD ACCEPT") {
				t.Errorf("with the policy DROP: %v (%s)", err, snap.HintOf(err))
			}
			if after := dump(t); after != before {
				t.Errorf("a refused set-up left\n%s", after)
			}
		})
	}
}
