package app

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// Threads that enter namespaces are thrown away: none may be the main one.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) { os.Exit(lab.M(m)) }

// withheld is the app of this machine, whose reader leaves one table out.
func withheld(table string) *App {
	a := New()
	read := a.Read
	a.Read = func(ctx context.Context, o ReadOptions) (*snap.Snapshot, error) {
		s, err := read(ctx, o)
		if err != nil {
			return nil, err
		}
		for i := range s.Netns {
			rs := &s.Netns[i].Ruleset
			for j := range rs.Tables {
				if rs.Tables[j].Name == table {
					rs.Tables = append(rs.Tables[:j:j], rs.Tables[j+1:]...)
					break
				}
			}
		}
		return s, nil
	}
	return a
}

// dropTo makes the lab's host drop what is forwarded to an address.
func dropTo(t *testing.T, table string, ip [4]byte) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tab := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: table})
	ch := c.AddChain(&nftables.Chain{Name: "fwd", Table: tab, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: tab, Chain: ch, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ip[:]}, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// A process has one lab: its host's namespace is the process's own.
func TestProofInALab(t *testing.T) {
	lab.New(t, lab.Default())
	dropTo(t, "hidden", [4]byte{198, 51, 100, 20})
	trace := func(t *testing.T, a *App, o TraceOptions) *v1.TraceResult {
		t.Helper()
		r, err := a.Trace(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("the rule is proved by its counter and by the kernel", func(t *testing.T) {
		r := trace(t, New(), TraceOptions{From: "client", To: "198.51.100.20:80"})
		if r.Proved == nil || r.Proved.Where == nil || r.Proved.Where.Table != "hidden" || r.Proved.Where.Num != 1 || r.Proved.Verdict != "dropped" {
			t.Fatalf("proved %+v, want dropped by hidden fwd rule 1", r.Proved)
		}
		for _, want := range []string{"NETFILTER_DROP", "12 more were sent, and that counter grew by 12"} {
			if !strings.Contains(r.Proved.Detail, want) {
				t.Errorf("proof %q does not say %q", r.Proved.Detail, want)
			}
		}
		if f := finding(r.Findings, "ND9001"); f != nil {
			t.Errorf("a contradiction where there is none: %s", f.Summary)
		}
	})
	t.Run("a rule that the model does not know is a contradiction", func(t *testing.T) {
		r := trace(t, withheld("hidden"), TraceOptions{From: "client", To: "198.51.100.20:80"})
		f := finding(r.Findings, "ND9001")
		if f == nil {
			t.Fatalf("no ND9001; verdict %s, predicted %+v, proved %+v", r.Verdict, r.Predicted, r.Proved)
		}
		if !strings.Contains(f.Summary, "in host on br-app (NETFILTER_DROP)") || f.Confidence != "contradicted" {
			t.Errorf("%s (%s), want it to say that it died in host on br-app", f.Summary, f.Confidence)
		}
	})
	t.Run("the kernel's own trace names the rule", testRuleTrace)
	t.Run("the largest packet is measured", testSizes)
	t.Run("what comes after the handshake is followed", testLater)
	t.Run("a packet comes in from beyond", testInject)
	t.Run("counters alone name the rule", func(t *testing.T) {
		r := trace(t, New(), TraceOptions{Common: Common{Observe: Observe{"counters"}}, From: "client", To: "198.51.100.20:80"})
		if r.Proved == nil || r.Proved.Where == nil || r.Proved.Where.Table != "hidden" {
			t.Errorf("proved %+v, want dropped by hidden fwd rule 1", r.Proved)
		}
		if len(r.Observers) != 1 || r.Observers[0].Name != "counters" || !r.Observers[0].Have {
			t.Errorf("observers %+v, want the counters alone", r.Observers)
		}
	})
	t.Run("packet sockets alone show how far it came", func(t *testing.T) {
		r := trace(t, New(), TraceOptions{Common: Common{Observe: Observe{"packet-sockets"}}, From: "client", To: "198.51.100.20:80"})
		if r.Proved == nil || r.Proved.Where == nil || r.Proved.Where.Table != "hidden" || !strings.Contains(r.Proved.Detail, "last seen coming into host by br-app") {
			t.Errorf("proved %+v, want that it came into host and no further", r.Proved)
		}
		if len(r.Observers) != 1 || r.Observers[0].Name != "packet-sockets" || !r.Observers[0].Have {
			t.Errorf("observers %+v, want packet sockets alone", r.Observers)
		}
	})
	t.Run("without observers nothing is said of the place", func(t *testing.T) {
		r := trace(t, New(), TraceOptions{Common: Common{Observe: Observe{"none"}}, From: "client", To: "198.51.100.20:80"})
		if r.Proved == nil || r.Proved.Where != nil || r.Proved.Verdict != "dropped" {
			t.Errorf("proved %+v, want dropped, and nobody knows where", r.Proved)
		}
	})
	t.Run("the matrix has what is expected beside what is seen", func(t *testing.T) {
		r, err := withheld("netdoctor").ReachAll(t.Context(), Common{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][2]string{ // the model does not know the lab's own rules
			"client db:5432/tcp":         {"delivered", "delivered"},
			"report db:5432/tcp":         {"delivered", "dropped"},
			"client report:80/tcp":       {"delivered", "dropped"},
			"report 172.21.0.1/icmp":     {"delivered", "delivered"},
			"client 192.0.2.10:8080/tcp": {"refused", "delivered"},
		}
		for _, c := range r.Cells {
			key := c.From + " " + c.To
			if w, ok := want[key]; ok {
				if got := [2]string{c.Expected, c.Seen}; got != w {
					t.Errorf("%s: expected and seen %v, want %v (%s)", key, got, w, c.Detail)
				}
				delete(want, key)
			}
		}
		if len(want) > 0 {
			t.Errorf("not in the matrix: %v", want)
		}
		if r.Verdict != "problems" || r.Summary.Differ < 3 {
			t.Errorf("verdict %s, %+v; want problems, and three that differ", r.Verdict, r.Summary)
		}
	})
	t.Run("watch tells of a drop and of a change", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		a := New()
		read := a.Read
		a.Read = func(ctx context.Context, o ReadOptions) (*snap.Snapshot, error) { // other labs may be on this machine, and in a flood
			s, err := read(ctx, o)
			if err == nil {
				s.Netns = slices.DeleteFunc(s.Netns, func(n snap.Netns) bool { return !n.Class.Ours() })
			}
			return s, err
		}
		var drop, change *v1.WatchEvent
		err := a.Watch(ctx, WatchOptions{Every: time.Hour}, func(e *v1.WatchEvent) error {
			switch {
			case e.Event == "observer" && !e.Observer.Have:
				t.Errorf("%s: %s", e.Observer.Name, e.Observer.Why)
			case e.Event == "observer" && e.Observer.Name == "notifications": // it has begun
				trace(t, New(), TraceOptions{From: "client", To: "198.51.100.20:80"})
				dropTo(t, "late", [4]byte{172, 20, 0, 12})
			case e.Event == "drop" && e.Drop.Netns == "host" && strings.HasPrefix(e.Drop.Dst, "198.51.100.20"): // other labs may be on this machine
				drop = e
			case e.Event == "change" && strings.Contains(e.Text, "late"):
				change = e
			case e.Event == "sampled" && drop == nil: // others on this machine drop more than can be told of
				trace(t, New(), TraceOptions{From: "client", To: "198.51.100.20:80"})
			}
			if drop != nil && change != nil {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || drop == nil || change == nil {
			t.Fatalf("ended with %v, drop %+v, change %+v", err, drop, change)
		}
		if d := drop.Drop; d.FromContainer != "netdoctor:client" || d.Reason != "NETFILTER_DROP" || !strings.Contains(d.Rule, "hidden fwd rule 1") {
			t.Errorf("told of %+v, want client's packet and the rule of hidden", d)
		}
	})
	t.Run("a stand-in tells the network from the application", func(t *testing.T) {
		o := TraceOptions{From: "client", To: "db:9999"}
		if r := trace(t, New(), o); r.Verdict != "refused" {
			t.Fatalf("without a stand-in: %s", r.Verdict)
		}
		o.StandIn = true
		r := trace(t, New(), o)
		if r.Verdict != "delivered" || r.StandIn == nil || r.StandIn.Netns != "db" || r.StandIn.Beside || finding(r.Findings, "ND9001") != nil {
			t.Errorf("verdict %s, stand-in %+v, findings %v; want delivered to it", r.Verdict, r.StandIn, r.Findings)
		}
		o.To = "db:5432"
		if r := trace(t, New(), o); r.Verdict != "delivered" || r.StandIn == nil || !r.StandIn.Beside {
			t.Errorf("verdict %s, stand-in %+v; want delivered to one beside the application's port", r.Verdict, r.StandIn)
		}
		o.To, o.StandIn = "db:9999", false
		if r := trace(t, New(), o); r.Verdict != "refused" {
			t.Errorf("%s after the stand-in ended, want refused", r.Verdict)
		}
		o.StandIn, o.NoProbe = true, true
		if _, err := New().Trace(t.Context(), o); !errors.Is(err, ErrUsage) {
			t.Errorf("with --no-probe: %v, want wrong usage", err)
		}
	})
	t.Run("nothing is sent when it must not", func(t *testing.T) {
		a := New()
		a.Probe = func(context.Context, *snap.Snapshot, []snap.Probe, Observe) ([]snap.Probe, []snap.Observer) {
			t.Error("probes were sent")
			return nil, nil
		}
		a.Again = a.Probe
		a.Count = func(context.Context, *snap.Snapshot, *snap.Probe, []string) ([]snap.Counted, error) {
			t.Error("bursts were sent")
			return nil, nil
		}
		r := trace(t, a, TraceOptions{Common: Common{NoProbe: true}, From: "client", To: "198.51.100.20:80"})
		if r.Proved != nil || len(r.Sent) > 0 || len(r.Observers) > 0 {
			t.Errorf("proved %+v, sent %v, observers %v; want nothing at all", r.Proved, r.Sent, r.Observers)
		}
	})
}

func finding(fs []v1.Finding, code string) *v1.Finding {
	for i := range fs {
		if fs[i].Code == code {
			return &fs[i]
		}
	}
	return nil
}
