package firewall

import (
	"net/netip"
	"time"
)

// LimitMatch is xt_rateinfo and ebt_limit_info. One packet is allowed every
// Avg/10000 seconds; Burst is how many at once.
type LimitMatch struct{ Avg, Burst uint32 }

// limitScale is XT_LIMIT_SCALE.
const limitScale = 10000

func (d *blob) limit() any {
	d.revs(0, 0)
	if len(d.b) == 32 || len(d.b) == 28 { // ebtables': no pointer at the end
		d.size(28)
	} else {
		d.size(40)
	}
	return &LimitMatch{d.u32(0), d.u32(4)}
}

// HashlimitMatch is xt_hashlimit_mtinfo1 to 3: a limit for each key.
type HashlimitMatch struct {
	Name string
	// Keys are of "srcip", "srcport", "dstip", "dstport"; none: one limit for all.
	Keys []string
	// Invert: matches what is above the limit.
	Invert bool
	// Bytes: the limit counts bytes. RateMatch: it compares the rate (revision 3).
	Bytes, RateMatch bool
	// Avg in units of 1/10000 s a packet for revision 1, 1/1000000 s for 2 and 3,
	// see Scale.
	Avg, Burst       uint64
	Scale            uint64
	Size, Max        uint32
	GCInterval       time.Duration
	Expire           time.Duration
	Interval         time.Duration // of RateMatch
	SrcMask, DstMask uint8
}

func (d *blob) hashlimit() any {
	d.revs(1, 3)
	m := &HashlimitMatch{}
	var mode, rest, mask int
	switch d.rev {
	case 1:
		d.size(16 + 32 + 8)
		m.Name, m.Scale = d.str(0, 16), 10000
		mode, rest, mask = 16, 28, 44
		m.Avg, m.Burst = uint64(d.u32(20)), uint64(d.u32(24))
	case 2, 3:
		mode, rest, mask = 272, 276, 292
		if d.rev == 2 {
			d.size(256 + 40 + 8)
		} else {
			d.size(256 + 48 + 8)
			m.Interval = time.Duration(d.u32(292)) * time.Second
			mask = 296
		}
		m.Name, m.Scale = d.str(0, 255), 1000000
		m.Avg, m.Burst = d.u64(256), d.u64(264)
	default:
		return nil
	}
	f := d.u32(mode)
	d.only(uint64(f), 0x7f)
	for i, k := range []string{"dstip", "dstport", "srcip", "srcport"} {
		if f&(1<<i) != 0 {
			m.Keys = append(m.Keys, k)
		}
	}
	m.Invert, m.Bytes, m.RateMatch = f&16 != 0, f&32 != 0, f&64 != 0
	m.Size, m.Max = d.u32(rest), d.u32(rest+4)
	m.GCInterval = time.Duration(d.u32(rest+8)) * time.Millisecond
	m.Expire = time.Duration(d.u32(rest+12)) * time.Millisecond
	m.SrcMask, m.DstMask = d.u8(mask), d.u8(mask+1)
	return m
}

// RecentMatch is xt_recent_mtinfo and _v1: a list of addresses seen before.
type RecentMatch struct {
	Name string
	// Set, Check, Update, Remove: what is done; one of them.
	Set, Check, Update, Remove bool
	TTL, Reap                  bool
	Seconds, HitCount          uint32
	Invert                     bool
	Dst                        bool       // of the destination, not the source
	Mask                       netip.Addr // invalid in revision 0: the whole address
}

func (d *blob) recent() any {
	d.revs(0, 1)
	if d.rev == 0 {
		d.size(212)
	} else {
		d.size(228)
	}
	f := d.u8(8)
	d.only(uint64(f), 0x3f)
	m := &RecentMatch{
		Seconds: d.u32(0), HitCount: d.u32(4), Check: f&1 != 0, Set: f&2 != 0, Update: f&4 != 0, Remove: f&8 != 0,
		TTL: f&16 != 0, Reap: f&32 != 0, Invert: d.flag(9), Name: d.str(10, 200), Dst: d.flag(210),
	}
	if d.rev == 1 {
		m.Mask = d.inet(212)
	}
	return m
}

// QuotaMatch is xt_quota_info: matches until Bytes have passed.
type QuotaMatch struct {
	Bytes  uint64
	Invert bool
}

func (d *blob) quota() any {
	d.revs(0, 0)
	d.size(24)
	d.only(uint64(d.u32(0)), 1)
	return &QuotaMatch{d.u64(8), d.u32(0)&1 != 0}
}

// StatisticMatch is xt_statistic_info.
type StatisticMatch struct {
	Random bool
	// Probability of Random, in units of 1/2^31.
	Probability uint32
	// Every and Packet of mode nth: of each Every packets, the one numbered
	// Packet. The kernel's struct holds Every-1.
	Every, Packet uint32
	Invert        bool
}

// Chance is Probability as a number from 0 to 1.
func (m *StatisticMatch) Chance() float64 { return float64(m.Probability) / (1 << 31) }

func (d *blob) statistic() any {
	d.revs(0, 0)
	d.size(24)
	mode, f := d.u16(0), d.u16(2)
	d.only(uint64(f), 1)
	d.only(uint64(mode), 1)
	m := &StatisticMatch{Random: mode == 0, Invert: f&1 != 0}
	if m.Random {
		m.Probability = d.u32(4)
	} else {
		m.Every, m.Packet = d.u32(4)+1, d.u32(8)
	}
	return m
}

// TimeMatch is xt_time_info. Times of day are since midnight.
type TimeMatch struct {
	DateStart, DateStop time.Time // UTC; 1970 and 2038-01-19 03:14:07: no limit
	DayStart, DayStop   time.Duration
	// MonthDays and WeekDays: bit n is day n, 1 to 31, Monday 1 to Sunday 7.
	MonthDays  uint32
	WeekDays   uint8
	LocalTime  bool // in the kernel's time zone, else UTC
	Contiguous bool
}

func (d *blob) time() any {
	d.revs(0, 0)
	d.size(22)
	f := d.u8(21)
	d.only(uint64(f), 3)
	return &TimeMatch{
		DateStart: time.Unix(int64(d.u32(0)), 0).UTC(), DateStop: time.Unix(int64(d.u32(4)), 0).UTC(),
		DayStart: time.Duration(d.u32(8)) * time.Second, DayStop: time.Duration(d.u32(12)) * time.Second,
		MonthDays: d.u32(16), WeekDays: d.u8(20), LocalTime: f&1 != 0, Contiguous: f&2 != 0,
	}
}

// NFAcctMatch is xt_nfacct_match_info: it counts and always matches, but for
// quota objects.
type NFAcctMatch struct{ Name string }

func (d *blob) nfacct() any {
	d.revs(0, 1)
	d.size(40)
	return &NFAcctMatch{d.str(0, 32)}
}

// ClusterMatch is xt_cluster_match_info: the source's hash falls to one of this
// node's share of Total nodes.
type ClusterMatch struct {
	Total, NodeMask, Seed uint32
	Invert                bool
}

func (d *blob) cluster() any {
	d.revs(0, 0)
	d.size(16)
	d.only(uint64(d.u32(12)), 1)
	return &ClusterMatch{d.u32(0), d.u32(4), d.u32(8), d.u32(12)&1 != 0}
}
