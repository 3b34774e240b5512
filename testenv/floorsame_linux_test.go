package testenv_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// TestFloorMakesTheVerySame compares what a container of ours adds to the kernel
// with what the bare program adds, beside which ours is timed: the same, but for
// names, numbers and hardware addresses.
func TestFloorMakesTheVerySame(t *testing.T) {
	dir := store.Dir(t.TempDir())
	helper, err := testenv.NewHelper(dir)
	must(t, err)
	h := &testenv.Host{Dir: dir, NoProcess: true, Local: helper}
	up := func(text string) testenv.Report {
		r, err := h.Up(context.Background(), parse(t, text), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker29n}})
		must(t, err)
		return r
	}
	empty := hostObjects(t)
	const app = "networks:\n  app: {}\n"
	st := up(app).State
	bridge := st.Network("app").Net.Bridge
	names := strings.NewReplacer("netdoctor-bridges", "TABLE", "raw-PREROUTING", "raw", "netdoctor:default", "MARK")
	before := hostObjects(t)
	// Two, as only of several the namespaces are made ahead.
	boxes := up("services:\n  box: {networks: [app], scale: 2, deploy: {endpoint_mode: dnsrr}}\n" + app).State.Containers
	var got []string
	for _, l := range added(before, hostObjects(t)) {
		got = append(got, strings.NewReplacer(boxes[0].Ctr.Endpoints[0].HostLink, "VETH0", boxes[1].Ctr.Endpoints[0].HostLink, "VETH1").Replace(names.Replace(l)))
	}
	for i := range boxes {
		got = append(got, inside(t, boxes[i].Ctr.SandboxKey)...)
	}
	helper.Close()
	if _, err := h.Down(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	settled(t)

	f := newFloor(t, bridge, 0)
	before = hostObjects(t)
	for i := range boxes {
		f.port = boxes[i].DNSPort
		f.attach(t, i)
	}
	floorNames := strings.NewReplacer(`"bench"`, `"TABLE"`, "vethb", "VETH", "netdoctor:bench", "MARK")
	want := added(before, hostObjects(t))
	for i := range boxes {
		want = append(want, inside(t, f.path(i))...)
	}
	for i := range want {
		want[i] = floorNames.Replace(want[i])
	}
	f.close(t)
	settled(t)
	slices.Sort(got) // names are in front
	slices.Sort(want)
	if len(want) < 30 {
		t.Errorf("only %d objects were seen: %v", len(want), want)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ours makes something else than the floor (-floor +ours):\n%s", d)
	}
	if d := cmp.Diff(empty, hostObjects(t)); d != "" {
		t.Errorf("something is left:\n%s", d)
	}
}

// added are the lines that were not there before.
func added(before, after []string) []string {
	var out []string
	for _, l := range after {
		if i := slices.Index(before, l); i >= 0 {
			before = slices.Delete(slices.Clone(before), i, i+1)
			continue
		}
		out = append(out, l)
	}
	return out
}

func hostObjects(t *testing.T) []string {
	t.Helper()
	h, err := ns.Self()
	must(t, err)
	defer h.Close()
	return objects(t, h, "host")
}

func inside(t *testing.T, path string) []string {
	t.Helper()
	h, err := ns.Open(path)
	must(t, err)
	defer h.Close()
	return objects(t, h, "box")
}

// objects is what a namespace has in the kernel, a line each, without what the
// kernel numbers, counts, or does by itself for a device with IPv6.
func objects(t *testing.T, h *ns.Handle, where string) []string {
	t.Helper()
	n, gaps := kernel.ReadNetns(context.Background(), h, kernel.Options{NoConntrack: true})
	for _, g := range gaps {
		if g.Kind != "unsupported" {
			t.Fatalf("%+v", g)
		}
	}
	var out []string
	line := func(what string, v ...any) {
		b, err := json.Marshal(v)
		must(t, err)
		out = append(out, where+" "+what+" "+string(b))
	}
	dev := func(index int) string {
		if l := n.LinkAt(index); l != nil {
			return l.Name
		}
		return ""
	}
	local := func(a netip.Addr) bool { return a.Is6() && (a.IsLinkLocalUnicast() || a.IsMulticast()) }
	for i := range n.Links {
		l := n.Links[i]
		line("link", l.Name, l.Kind, l.MTU, l.Up, l.Alias, l.Group, l.TxQLen, dev(l.Master), l.Qdiscs, l.Offload)
		if p := l.Port; p != nil {
			q := *p
			q.State, q.No = 0, 0
			line("port", l.Name, q)
		}
	}
	for _, a := range n.Addrs {
		if !local(a.Prefix.Addr()) {
			line("addr", dev(a.Index), a.Prefix, a.Bcast, a.Scope, a.Label, a.Flags)
		}
	}
	for _, r := range n.Routes {
		if !local(r.Dst.Addr()) {
			line("route", r.Table, r.Type, r.Dst, r.Scope, r.Protocol, r.Metric, r.PrefSrc, dev(r.Oif), r.Gateway)
		}
	}
	for _, x := range n.Rules {
		line("rule", x)
	}
	for _, x := range n.Neighs {
		if x.State == "permanent" {
			line("neigh", dev(x.Index), x.IP, x.MAC)
		}
	}
	for _, x := range n.Sockets {
		line("socket", x.Proto, x.Family, x.Local, x.Backlog)
	}
	for k, v := range n.Sysctls {
		if !strings.Contains(k, "conntrack") {
			line("sysctl", k, v)
		}
	}
	for i := range n.Ruleset.Tables {
		tb := &n.Ruleset.Tables[i]
		line("table", tb.Family, tb.Name, len(tb.Sets))
		for j := range tb.Chains {
			c := &tb.Chains[j]
			line("chain", tb.Family, tb.Name, c.Name, c.Type, c.Hook, c.Priority, c.Policy)
			for k := range c.Rules {
				line("nft", tb.Name, c.Name, fixups.Print(&c.Rules[k]), c.Rules[k].Comment)
			}
		}
	}
	must(t, h.Do(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			line("queues", l.Attrs().Name, l.Attrs().NumTxQueues, l.Attrs().NumRxQueues)
		}
		return err
	}))
	slices.Sort(out)
	return out
}
