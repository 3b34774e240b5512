package kernel

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/testenv/labtest"
)

func TestNeighTableIsTheMachines(t *testing.T) {
	entries, limit, err := ReadNeighTable(t.Context(), labtest.Netns(t))
	if err != nil {
		t.Fatal(err)
	}
	want := 1024 // net/ipv4/arp.c: arp_tbl, where no file tells
	if b, err := os.ReadFile("/proc/sys/net/ipv4/neigh/default/gc_thresh3"); err == nil {
		if want, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			t.Fatal(err)
		}
	}
	if limit != want || entries < 0 || entries > limit {
		t.Errorf("%d entries of at most %d, want at most %d", entries, limit, want)
	}
}

func TestDevicesThatAskNobody(t *testing.T) {
	h := labtest.Netns(t)
	asks := func(value string) string {
		if err := h.Do(func() error {
			return os.WriteFile("/proc/sys/net/ipv4/neigh/lo/mcast_solicit", []byte(value), 0)
		}); err != nil {
			t.Skip(err)
		}
		n, gaps := ReadNetns(t.Context(), h, Options{})
		if len(gaps) > 0 {
			t.Log(gaps)
		}
		return n.Sysctls["net/ipv4/neigh/lo/mcast_solicit"]
	}
	if got := asks("3"); got != "" {
		t.Errorf("a device that asks three times: %q", got)
	}
	if got := asks("0"); got != "0" {
		t.Errorf("a device that asks nobody: %q", got)
	}
}
