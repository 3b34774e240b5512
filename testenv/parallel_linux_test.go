package testenv_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// TestFiftyAtOnce connects fifty containers by fifty processes at a time, and
// has fifty set-ups at a time: nobody fails, and nothing is there twice.
func TestFiftyAtOnce(t *testing.T) {
	const n = 50
	before := dump(t)
	h := &testenv.Host{LockWait: 5 * time.Minute} // all have their turn, however slow the machine is
	ctx := context.Background()
	text := "services:\n"
	for i := range n {
		text += fmt.Sprintf("  c%d: {networks: [one]}\n", i)
	}
	text += "networks:\n  one: {}\n  two: {}\n"
	sp := parse(t, text)
	all := func(what string, f func(i int) error) {
		t.Helper()
		start := time.Now()
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() { errs[i] = f(i) })
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("%s %d: %v", what, i, err)
			}
		}
		t.Logf("%d × %s: %v", n, what, time.Since(start).Round(time.Millisecond))
	}
	all("setup", func(int) error {
		_, err := h.Up(ctx, sp, testenv.UpOptions{Options: testenv.Options{Like: driver.Docker29i}})
		return err
	})
	all("connect", func(i int) error {
		out, err := exec.Command("/proc/self/exe", "act2", "connect", fmt.Sprintf("c%d", i)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]string{}
	for _, c := range st.Containers {
		if len(c.Ctr.Endpoints) != 2 {
			t.Errorf("container %s is on %d networks", c.Ctr.Name, len(c.Ctr.Endpoints))
		}
		for _, ep := range c.Ctr.Endpoints {
			if was := seen[ep.IPv4.Addr()]; was != "" {
				t.Errorf("address %s is %s's and %s's", ep.IPv4, was, c.Ctr.Name)
			}
			seen[ep.IPv4.Addr()] = c.Ctr.Name
		}
	}
	lines := strings.Split(sh(t, "iptables-save -t raw | grep -- '-A PREROUTING'; iptables-save -t filter | grep NETDOCTOR"), "\n")
	have := map[string]bool{}
	for _, l := range lines {
		if have[l] && l != "" && !strings.HasPrefix(l, "#") { // a remark: legacy tables are there, too
			t.Errorf("twice: %s", l)
		}
		have[l] = true
	}
	if d, err := h.Check(ctx); err != nil || len(d) > 0 {
		t.Errorf("drift %q, %v", d, err)
	}
	all("disconnect", func(i int) error {
		_, err := h.Detach(ctx, fmt.Sprintf("c%d", i), "two")
		return err
	})
	start := time.Now()
	if _, err := h.Down(ctx, false); err != nil {
		t.Fatal(err)
	}
	t.Logf("teardown of %d: %v", n, time.Since(start).Round(time.Millisecond))
	if after := dump(t); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// TestAContainerTakesItsRulesAlong: what a container alone had is gone with it.
func TestAContainerTakesItsRulesAlong(t *testing.T) {
	sh(t, "ip link set lo up")
	defer sh(t, "ip link set lo down")
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			h := &testenv.Host{}
			ctx := context.Background()
			up := func(text string) string {
				t.Helper()
				if _, err := h.Up(ctx, parse(t, text), testenv.UpOptions{Options: testenv.Options{Like: gen}}); err != nil {
					t.Fatal(err)
				}
				return sh(t, "nft -s list ruleset | sed 's/ counter//'")
			}
			without := up("networks:\n  app: {}\n")
			with := up("services:\n  web: {networks: [app], ports: [\"8080:80\", \"127.0.0.1:81:81/udp\"]}\nnetworks:\n  app: {}\n")
			if with == without || !strings.Contains(with, "dport 8080") {
				t.Errorf("with a container\n%s", with)
			}
			again := up("networks:\n  app: {}\n")
			if d := cmp.Diff(strings.Fields(without), strings.Fields(again)); d != "" {
				t.Errorf("(-before +after)\n%s", d)
			}
			if _, err := h.Down(ctx, false); err != nil {
				t.Fatal(err)
			}
		})
	}
}
