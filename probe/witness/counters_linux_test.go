package witness

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestOnlyWhatGrewByWhatWasSentCounts(t *testing.T) {
	t.Parallel()
	grew := map[string]*snap.Counted{
		"by each packet":          {Netns: "a", Sent: []int{7, 5}, Grew: []int64{7, 5}},
		"twice by each":           {Netns: "b", Sent: []int{7, 5}, Grew: []int64{14, 10}},
		"by others' packets, too": {Netns: "c", Sent: []int{7, 5}, Grew: []int64{9, 6}},
		"in one burst only":       {Netns: "d", Sent: []int{7}, Grew: []int64{7}},
		"not by all":              {Netns: "e", Sent: []int{7, 5}, Grew: []int64{7, 4}},
	}
	want := []snap.Counted{*grew["by each packet"], *grew["twice by each"]}
	if diff := cmp.Diff(want, exact(grew)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPairs(t *testing.T) {
	t.Parallel()
	got := map[string]int64{}
	pairs([]byte("Ip: Forwarding InAddrErrors\nIp: 1 4\nTcpExt: A B\nTcpExt: 2\nIpExt: InNoRoutes\nIpExt: 9\n"), func(n string, v int64) { got[n] = v })
	want := map[string]int64{"IpForwarding": 1, "IpInAddrErrors": 4, "IpExtInNoRoutes": 9}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAround(t *testing.T) {
	t.Parallel()
	list := []byte("ffffffff81000000 T _text\nffffffff81a3c0d0 T nft_do_chain\t[nf_tables]\nffffffff81a3c100 t ip_error\nffffffff81a3c180 d data\n")
	for addr, want := range map[uint64]string{
		0xffffffff81a3c0d0: "nft_do_chain", 0xffffffff81a3c0ff: "nft_do_chain", 0xffffffff81a3c190: "ip_error", 0xffffffff81000001: "_text",
	} {
		if got, err := around(list, addr); got != want || err != nil {
			t.Errorf("%x is in %q (%v), want %q", addr, got, err, want)
		}
	}
	if got, err := around([]byte("0000000000000000 T nft_do_chain\n"), 1<<63); got != "" || err == nil {
		t.Errorf("hidden addresses named %q without an error", got)
	}
}
