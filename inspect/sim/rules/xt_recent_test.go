package rules

import (
	"net/netip"
	"testing"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// What the lists of xt_recent held when they were read decides, and what the rules
// before did for the same packet counts, too.
func TestRecent(t *testing.T) {
	src := netip.MustParseAddr("192.0.2.9")
	check := &fw.RecentMatch{Name: "ban", Check: true, Seconds: 60}
	often := func(n uint32) *fw.RecentMatch {
		return &fw.RecentMatch{Name: "ban", Update: true, Seconds: 60, HitCount: n}
	}
	set, remove := &fw.RecentMatch{Name: "ban", Set: true}, &fw.RecentMatch{Name: "ban", Remove: true}
	not := *check
	not.Invert = true
	dst := &fw.RecentMatch{Name: "ban", Check: true, Dst: true}
	wide := &fw.RecentMatch{Name: "ban", Check: true, Mask: netip.MustParseAddr("255.255.255.0")}
	listed := func(addr string, ages ...int64) []snap.RecentList {
		l := snap.RecentList{Name: "ban"}
		if addr != "" {
			l.Entries = []snap.RecentEntry{{Addr: netip.MustParseAddr(addr), AgesMs: ages}}
		}
		return []snap.RecentList{l}
	}
	for name, c := range map[string]struct {
		list   []snap.RecentList
		before []*fw.RecentMatch
		match  *fw.RecentMatch
		want   is3
	}{
		"not read":             {nil, nil, check, maybe},
		"not on it":            {listed(""), nil, check, no},
		"not on it, inverted":  {listed(""), nil, &not, yes},
		"on it":                {listed("192.0.2.9", 5000), nil, check, yes},
		"another is":           {listed("192.0.2.8", 5000), nil, check, no},
		"its time is over":     {listed("192.0.2.9", 70000), nil, check, no},
		"its time is just up":  {listed("192.0.2.9", 59800), nil, check, maybe},
		"not often enough":     {listed("192.0.2.9", 70000, 5000, 4000), nil, often(3), no},
		"often enough":         {listed("192.0.2.9", 6000, 5000, 4000), nil, often(3), yes},
		"this one makes three": {listed("192.0.2.9", 5000, 4000), []*fw.RecentMatch{set}, often(3), yes},
		"set at once":          {listed(""), []*fw.RecentMatch{set}, check, yes},
		"taken off":            {listed("192.0.2.9", 5000), []*fw.RecentMatch{remove}, check, no},
		"taken off and set":    {listed("192.0.2.9", 5000, 4000), []*fw.RecentMatch{remove, set}, often(2), no},
		"remove what is not":   {listed(""), nil, remove, no},
		"by destination":       {listed("198.51.100.7", 5000), nil, dst, yes},
		"by network":           {listed("192.0.2.0", 5000), nil, wide, yes},
	} {
		m := &machine{pkt: Packet{Family: snap.IPv4, Proto: snap.IPProtoTCP, Src: src, Dst: netip.MustParseAddr("198.51.100.7")}, env: &fakeEnv{recent: c.list}}
		for _, b := range c.before {
			recent(m, b)
		}
		if got := recent(m, c.match); got.is != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestHashlimitCredit(t *testing.T) {
	v := &fw.HashlimitMatch{Name: "http", Keys: []string{"srcip", "dstport"}, SrcMask: 24, DstMask: 32, Avg: 10000, Scale: 10000}
	over := *v
	over.Invert = true
	bytes := *v
	bytes.Bytes = true
	entry := func(src string, credit uint64) []snap.HashLimit {
		return []snap.HashLimit{{Name: "http", Family: snap.IPv4, Entries: []snap.HashLimitEntry{{
			Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort("0.0.0.0:80"), Credit: credit, Cap: 500, Cost: 100,
		}}}}
	}
	for name, c := range map[string]struct {
		tables []snap.HashLimit
		match  *fw.HashlimitMatch
		want   is3
	}{
		"not read":                {nil, v, maybe},
		"a new key":               {entry("198.51.100.0:0", 0), v, yes},
		"some credit":             {entry("192.0.2.0:0", 100), v, yes},
		"used up":                 {entry("192.0.2.0:0", 99), v, no},
		"used up, and so above":   {entry("192.0.2.0:0", 99), &over, yes},
		"a new key is not above":  {entry("198.51.100.0:0", 0), &over, no},
		"bytes are not looked at": {entry("192.0.2.0:0", 99), &bytes, maybe},
	} {
		m := &machine{
			pkt: Packet{Family: snap.IPv4, Proto: snap.IPProtoTCP, Src: netip.MustParseAddr("192.0.2.9"), Dst: netip.MustParseAddr("198.51.100.7"), Sport: 4000, Dport: 80},
			env: &fakeEnv{limits: c.tables},
		}
		if got := hashlimit(m, c.match); got.is != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestFewConnections(t *testing.T) {
	for count, want := range map[string]bool{"": false, "10": true, "249": false, "x": false} {
		e := &fakeEnv{sysctls: map[string]string{"net/netfilter/nf_conntrack_count": count}}
		if got := fewConnections(e, 500); got != want {
			t.Errorf("%q of 500: %v, want %v", count, got, want)
		}
	}
}
