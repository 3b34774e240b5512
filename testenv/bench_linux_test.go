package testenv_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// BenchmarkAttach puts containers on one network and takes everything away, and
// does the same with nothing but the system calls for the very same objects of
// the kernel: a namespace held by a mount, lo, sysctls, a veth pair with alias
// and group, address, route, the guard rule on the host, the resolver's two
// sockets and their DNAT (TestFloorMakesTheVerySame). Programs that attach without a resolver, where they are
// installed, attach a few in the same round, and ours a default bridge, which has
// none either, beside which they are judged.
//
// It takes the longer the more are there, the bare program more so: 1.8 ms of
// processor time each at 50 and 3.7 at 1,000, ours 3.4 and 4.4, seen with perf on
// Linux 6.18. A fifth of that is the looking up of sysctls, since those of all
// namespaces have one name and one parent, and so one chain of the kernel's table
// of names (fs/proc/proc_sysctl.c: proc_sys_compare). The rest goes over what the
// host has of each container: routes of IPv6 (fib6_ifdown), ports of the bridge
// (br_add_if, veth_set_rx_headroom, __netdev_adjacent_dev_insert), ids of
// namespaces (net_eq_idr), and the rules of the chain that gets one more
// (nft_chain_validate).
//
// The garbage collector waits as long as in the program (cmd/netdoctor:
// collectLate), for the bare one as well.
func BenchmarkAttach(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	for _, c := range []struct{ n, rounds int }{{50, 6}, {500, 2}, {1000, 1}} {
		b.Run(fmt.Sprint(c.n), func(b *testing.B) {
			// The best of all rounds: on a busy machine the others measure the neighbours.
			best := map[string]time.Duration{}
			note := func(what string, took time.Duration) {
				if was := best[what]; was == 0 || took < was {
					best[what] = took
				}
			}
			const app = "networks:\n  app: {}\n"
			others := peers()
			if c.n > 50 { // beside so many they were not measured
				others = nil
			}
			for b.Loop() {
				for range c.rounds {
					for _, p := range others {
						const few = 10
						note(p.name, attachPeer(b, p, few)/few)
					}
					if len(others) > 0 {
						plain, _ := attachOurs(b, "services: {}\n", fmt.Sprintf("services:\n  box: {network_mode: bridge, scale: %d}\n", c.n))
						note("plain", plain)
					}
					up, down := attachOurs(b, app, fmt.Sprintf("services:\n  box: {networks: [app], scale: %d, deploy: {endpoint_mode: dnsrr}}\n", c.n)+app)
					note("ours", up)
					note("down", down)
					up, down = attachBare(b, c.n)
					note("floor", up)
					note("floordown", down)
				}
			}
			each := func(what string) float64 { return float64(best[what].Microseconds()) / float64(c.n) / 1000 }
			b.ReportMetric(each("ours"), "ms/attach")
			b.ReportMetric(each("floor"), "ms/floor")
			b.ReportMetric(each("floordown")/each("floor"), "floordown/up")
			ratio, down := each("ours")/each("floor"), each("down")/each("ours")
			b.ReportMetric(ratio, "ours/floor")
			b.ReportMetric(down, "down/up")
			if c.n <= 500 {
				labtest.AtMost(b, "attaching beside the bare program", ratio, 1.5)
			}
			labtest.AtMost(b, "taking away beside attaching", down, 1)
			for _, p := range others {
				b.ReportMetric(float64(best[p.name].Microseconds())/1000, "ms/"+p.name)
				b.ReportMetric(float64(best[p.name].Microseconds())/1000/each("ours"), p.name+"/ours")
				times := float64(best[p.name].Microseconds()) / 1000 / each("plain")
				b.ReportMetric(each("plain"), "ms/plain")
				b.ReportMetric(times, p.name+"/plain")
				labtest.AtLeast(b, p.name+" beside attaching without a resolver", times, 10)
			}
			b.ReportMetric(heapMB, "heap-MB")
		})
	}
}

// heapMB is what was in use when everything was attached, the resolver's part
// with it.
var heapMB float64

// attachOurs makes what a spec says on a host that has its networks already.
func attachOurs(b *testing.B, networks, spec string) (up, down time.Duration) {
	b.Helper()
	ctx := context.Background()
	dir := "/run/netdoctor/bench"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	helper, err := testenv.NewHelper("/run/netdoctor/bench")
	if err != nil {
		b.Fatal(err)
	}
	h := &testenv.Host{Dir: "/run/netdoctor/bench", NoProcess: true, Local: helper}
	if _, err := h.Up(ctx, parse(b, networks), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker29n}}); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if _, err := h.Up(ctx, parse(b, spec), testenv.UpOptions{}); err != nil {
		b.Fatal(err)
	}
	up = time.Since(start)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	heapMB = float64(m.HeapInuse) / 1e6
	start = time.Now()
	helper.Close()
	if _, err := h.Down(ctx, false); err != nil {
		b.Fatal(err)
	}
	settled(b)
	down = time.Since(start)
	quiet(b)
	return up, down
}

// quiet waits until the kernel is done with the namespaces that were let go, of
// which devices are only the first part, so that the next one to be measured does
// not work beside that. It ends namespaces in lots, one after the other
// (net/core/net_namespace.c: cleanup_net): the device of the first of two new ones
// is gone when a lot was begun, that of the second when the lot before it ended.
func quiet(b *testing.B) {
	b.Helper()
	for range 2 {
		const path = "/run/bench-quiet"
		bindNetns(b, path)
		in, err := ns.Open(path)
		must(b, err)
		must(b, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "quiet0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(in.Fd())}))
		must(b, in.Close())
		must(b, unix.Unmount(path, unix.MNT_DETACH))
		must(b, os.Remove(path))
		settled(b)
	}
}

// settled waits until the kernel has ended the namespaces that were let go.
func settled(b testing.TB) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		links, err := netlink.LinkList()
		if err != nil {
			continue
		}
		veths := 0
		for _, l := range links {
			if l.Type() == "veth" {
				veths++
			}
		}
		if veths == 0 {
			return
		}
	}
	b.Fatal("devices are left")
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// attachBare attaches so many with nothing but the system calls for it.
func attachBare(b *testing.B, n int) (up, down time.Duration) {
	b.Helper()
	f := newFloor(b, "nd-0123456789ab", 40000)
	start := time.Now()
	for i := range n {
		f.attach(b, i)
	}
	up = time.Since(start)
	start = time.Now()
	f.close(b)
	settled(b)
	down = time.Since(start)
	quiet(b)
	return up, down
}
