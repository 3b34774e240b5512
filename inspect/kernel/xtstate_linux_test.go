package kernel

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

func TestRecentListsAndHashLimits(t *testing.T) {
	h := labtest.Netns(t)
	run(t, h, "iptables-restore", []string{"-w"}, `*filter
-A INPUT -m recent --name ban --rcheck --seconds 600 -j DROP
-A INPUT -i lo -p udp -m hashlimit --hashlimit-upto 2/hour --hashlimit-burst 2 --hashlimit-mode srcip,dstport --hashlimit-name web -j ACCEPT
COMMIT
`)
	labtest.Ran(t, h.Do(func() error {
		fd, err := unix.Open("/proc/thread-self/net/xt_recent/ban", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, l := range []string{"+192.0.2.9\n", "+192.0.2.9\n", "+192.0.2.10\n"} {
			_, err := unix.Seek(fd, 0, unix.SEEK_SET)
			if err == nil {
				_, err = unix.Write(fd, []byte(l))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
	run(t, h, "ip", []string{"link", "set", "lo", "up"}, "")
	for range 3 { // the third is above the limit
		run(t, h, "bash", []string{"-c", "echo x > /dev/udp/127.0.0.1/80"}, "")
	}
	n, gaps := ReadNetns(t.Context(), h, Options{})
	for _, g := range gaps {
		t.Errorf("gap: %+v", g)
	}
	l := n.RecentList("ban")
	if l == nil || len(l.Entries) != 2 {
		t.Fatalf("the list: %+v", n.Recent)
	}
	i := slices.IndexFunc(l.Entries, func(e snap.RecentEntry) bool { return e.Addr == netip.MustParseAddr("192.0.2.9") })
	if i < 0 || len(l.Entries[i].AgesMs) != 2 {
		t.Fatalf("two packets of 192.0.2.9: %+v", l.Entries)
	}
	for _, a := range l.Entries[i].AgesMs {
		if a < 0 || a > 60_000 {
			t.Errorf("a stamp of this test is %d ms old", a)
		}
	}
	w := n.HashLimit("web", snap.IPv4)
	if w == nil || len(w.Entries) != 1 {
		t.Fatalf("the table: %+v", n.HashLimits)
	}
	if e := w.Entries[0]; e.Src != netip.MustParseAddrPort("127.0.0.1:0") || e.Dst != netip.MustParseAddrPort("0.0.0.0:80") || e.Cost == 0 || e.Credit >= e.Cost {
		t.Errorf("the key that has used up its credit: %+v", e)
	}
}

func TestAgeInJiffies(t *testing.T) {
	for _, c := range []struct {
		now, stamp uint64
		want       int64
	}{{4312476711, 4312476461, 1000}, {4312476711, 4312476712, 0}, {1<<32 + 250, 1<<32 - 250, 2000}, {1<<32 + 250, 0, 1000}} {
		if got := (jiffies{250, c.now}).age(c.stamp); got != c.want {
			t.Errorf("from %d to %d: %d ms, want %d", c.stamp, c.now, got, c.want)
		}
	}
}
