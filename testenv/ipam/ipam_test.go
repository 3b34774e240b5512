package ipam

import (
	"errors"
	"net/netip"
	"testing"
)

func pfx(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestPoolsAreGivenOutInDockersOrder(t *testing.T) {
	t.Parallel()
	var taken []netip.Prefix
	for n := 0; ; n++ {
		p, err := Next(LocalPools(), taken)
		if err != nil {
			if !errors.Is(err, ErrExhausted) || n != 31 {
				t.Fatalf("after %d networks: %v, want 31 and then exhausted", n, err)
			}
			return
		}
		for i, want := range map[int]string{0: "172.17.0.0/16", 1: "172.18.0.0/16", 3: "172.20.0.0/16", 14: "172.31.0.0/16", 15: "192.168.0.0/20", 30: "192.168.240.0/20"} {
			if n == i && p.String() != want {
				t.Errorf("network %d is %s, want %s", n, p, want)
			}
		}
		taken = append(taken, p)
	}
}

func TestNextSkipsWhatIsTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pools []Pool
		taken []netip.Prefix
		want  string
	}{
		"a name server inside a block":         {LocalPools(), Reserved([]netip.Addr{netip.MustParseAddr("172.17.3.4")}, nil), "172.18.0.0/16"},
		"an on-link route":                     {LocalPools(), Reserved(nil, pfx("172.17.0.0/24", "172.18.0.0/15")), "172.20.0.0/16"},
		"a default route is no block":          {LocalPools(), Reserved(nil, pfx("0.0.0.0/0")), "172.17.0.0/16"},
		"the freed block comes back first":     {LocalPools(), pfx("172.17.0.0/16", "172.19.0.0/16"), "172.18.0.0/16"},
		"all of 172.16/12":                     {LocalPools(), pfx("172.16.0.0/12"), "192.168.0.0/20"},
		"a small block in a large one":         {[]Pool{{netip.MustParsePrefix("10.0.0.0/8"), 24}}, pfx("10.0.0.7/32", "10.0.1.128/25"), "10.0.2.0/24"},
		"a whole /9 in one step":               {[]Pool{{netip.MustParsePrefix("10.0.0.0/8"), 24}}, pfx("10.0.0.0/9"), "10.128.0.0/24"},
		"the end of the address space is held": {[]Pool{{netip.MustParsePrefix("255.255.255.0/24"), 24}, {netip.MustParsePrefix("10.0.0.0/24"), 24}}, pfx("255.255.255.128/25"), "10.0.0.0/24"},
		"IPv6":                                 {[]Pool{{netip.MustParsePrefix("fd00:1::/48"), 64}}, pfx("fd00:1::/64"), "fd00:1:0:1::/64"},
	} {
		got, err := Next(c.pools, c.taken)
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestSortedDropsWhatLiesWithin(t *testing.T) {
	t.Parallel()
	got := Sorted([]Pool{{netip.MustParsePrefix("10.9.0.0/16"), 24}, {netip.MustParsePrefix("10.0.0.0/8"), 24}, {netip.MustParsePrefix("9.0.0.0/8"), 24}})
	if len(got) != 2 || got[0].Base.String() != "9.0.0.0/8" || got[1].Base.String() != "10.0.0.0/8" {
		t.Errorf("got %v", got)
	}
}

func TestAddressesAreTheLowestFree(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s     Subnet
		taken []string
		want  string // "" exhausted
	}{
		"behind the gateway":                     {Subnet{Prefix: netip.MustParsePrefix("172.17.0.0/16"), Gateway: netip.MustParseAddr("172.17.0.1")}, nil, "172.17.0.2"},
		"the hole":                               {Subnet{Prefix: netip.MustParsePrefix("172.17.0.0/16"), Gateway: netip.MustParseAddr("172.17.0.1")}, []string{"172.17.0.2", "172.17.0.4"}, "172.17.0.3"},
		"the start of a range is no edge":        {Subnet{Prefix: netip.MustParsePrefix("10.99.0.0/24"), Range: netip.MustParsePrefix("10.99.0.128/25"), Gateway: netip.MustParseAddr("10.99.0.254")}, nil, "10.99.0.128"},
		"the broadcast address ends it":          {Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/30"), Gateway: netip.MustParseAddr("10.0.0.1")}, []string{"10.0.0.2"}, ""},
		"a /31 has no edges":                     {Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/31"), Gateway: netip.MustParseAddr("10.0.0.0")}, nil, "10.0.0.1"},
		"the end of IPv6 is an ordinary address": {Subnet{Prefix: netip.MustParsePrefix("fd00::/126"), Gateway: netip.MustParseAddr("fd00::1")}, []string{"fd00::2"}, "fd00::3"},
		"the highest address of all":             {Subnet{Prefix: netip.MustParsePrefix("255.255.255.254/31"), Gateway: netip.MustParseAddr("255.255.255.254")}, []string{"255.255.255.255"}, ""},
	} {
		used := map[netip.Addr]bool{}
		for _, s := range c.taken {
			used[netip.MustParseAddr(s)] = true
		}
		got, err := c.s.Lowest(func(a netip.Addr) bool { return used[a] })
		switch {
		case c.want == "" && !errors.Is(err, ErrExhausted):
			t.Errorf("%s: %v, %v; want exhausted", name, got, err)
		case c.want != "" && (err != nil || got.String() != c.want):
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestStaticAddresses(t *testing.T) {
	t.Parallel()
	s := Subnet{Prefix: netip.MustParsePrefix("10.99.0.0/24"), Range: netip.MustParsePrefix("10.99.0.128/25"), Gateway: netip.MustParseAddr("10.99.0.254")}
	free := func(a netip.Addr) bool { return a.String() == "10.99.0.9" }
	for addr, ok := range map[string]bool{
		"10.99.0.7": true, "10.99.0.0": false, "10.99.0.255": false, "10.99.0.254": false, "10.99.0.9": false, "10.98.0.1": false, "fd00::1": false,
	} {
		if err := s.Static(netip.MustParseAddr(addr), free); (err == nil) != ok {
			t.Errorf("%s: %v, want free %v", addr, err, ok)
		}
	}
}

func TestSubnetsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Subnet{
		"host bits":           {Prefix: netip.MustParsePrefix("10.0.0.1/24")},
		"range outside":       {Prefix: netip.MustParsePrefix("10.0.0.0/24"), Range: netip.MustParsePrefix("10.0.1.0/25")},
		"range larger":        {Prefix: netip.MustParsePrefix("10.0.0.0/24"), Range: netip.MustParsePrefix("10.0.0.0/16")},
		"gateway outside":     {Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.1.1")},
		"gateway at the edge": {Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.255")},
	} {
		if s.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
