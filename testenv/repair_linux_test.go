package testenv_test

import (
	"context"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// TestDriftIsSaidAndMended breaks a set-up in one way after another; Check says
// it, and setting up again puts it back without touching the rest.
func TestDriftIsSaidAndMended(t *testing.T) {
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			ctx := context.Background()
			sp := parse(t, killed)
			h := raised(t, sp, gen)
			st, err := h.Status()
			if err != nil {
				t.Fatal(err)
			}
			br, web := st.Network("app").Net.Bridge, st.Container("web")
			inWeb := "nsenter --net=" + web.Ctr.SandboxKey + " "
			flush := "iptables -F NETDOCTOR; iptables -t nat -F NETDOCTOR"
			if gen == driver.Docker29n {
				flush = "nft flush chain ip netdoctor-bridges filter-forward-in__" + br
			}
			rules := sh(t, "nft -s list ruleset | sed 's/ counter//'")
			for _, c := range []struct{ name, do, says string }{
				{"rules", flush, "rule is missing"},
				{"bridge down", "ip link set " + br + " down", "device " + br + " is down"},
				{"gateway", "ip addr flush dev " + br, "gateway 172.17.0.1 is not on " + br},
				{"port", "ip link set " + web.Ctr.Endpoints[0].HostLink + " nomaster", "is not on bridge " + br},
				{"device down", inWeb + "ip link set eth0 down", "device eth0 is down"},
				{"route", inWeb + "ip route del default", "default route via 172.17.0.1 is missing"},
				{"address", inWeb + "ip addr flush dev eth0", "address 172.17.0.3/16 is missing"},
			} {
				sh(t, c.do)
				d, err := h.Check(ctx)
				if err != nil || !strings.Contains(strings.Join(d, "\n"), c.says) {
					t.Errorf("%s: drift %q, %v; want %q", c.name, d, err, c.says)
				}
				r, err := h.Up(ctx, sp, testenv.UpOptions{})
				if err != nil || len(r.Changes) == 0 {
					t.Errorf("%s: mending: %v, %v", c.name, r.Changes, err)
				}
				if d, err := h.Check(ctx); err != nil || len(d) > 0 {
					t.Errorf("%s: drift after mending: %q, %v", c.name, d, err)
				}
				if got := sh(t, "nft -s list ruleset | sed 's/ counter//'"); got != rules {
					t.Errorf("%s: rules before\n%s\nand after mending\n%s", c.name, rules, got)
				}
			}
			if out, code := in(t, h, "workers-1", "ping -c1 -W2 web"); code != 0 {
				t.Errorf("after all of it: %s", out)
			}
		})
	}
}
