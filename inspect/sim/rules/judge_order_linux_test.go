package rules

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestKernelOrder looks which of several chains of one priority the kernel
// runs last: each sets the mark, and a later chain counts the marks.
func TestKernelOrder(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip") {
		return
	}
	sh(t, `ip link set lo up
		nft 'add table ip one; add chain ip one first { type filter hook output priority 0; }; add rule ip one first meta mark set 1'
		nft 'add chain ip one second { type filter hook output priority 0; }; add rule ip one second meta mark set 2'
		nft 'add table inet two; add chain inet two third { type filter hook output priority 0; }; add rule inet two third meta mark set 3'
		nft 'add table ip t; add chain ip t c { type filter hook output priority 1; }
			add rule ip t c meta mark 1 counter; add rule ip t c meta mark 2 counter; add rule ip t c meta mark 3 counter'`)
	c, err := net.Dial("udp4", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	h, err := ns.Self()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	rs, gaps := kernel.ReadRuleset(ctx, h)
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	var order []string
	for _, b := range Compile(&rs).BaseChains(snap.IPv4, "output", "") {
		order = append(order, b.Chain.Name)
	}
	if d := cmp.Diff([]string{"third", "second", "first", "c"}, order); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	counted := rs.Table(snap.NFT, snap.IPv4, "t").Chain("c").Rules
	if counted[0].Packets == 0 || counted[1].Packets != 0 || counted[2].Packets != 0 {
		t.Errorf("the kernel ran another chain last: %d %d %d", counted[0].Packets, counted[1].Packets, counted[2].Packets)
	}
}
