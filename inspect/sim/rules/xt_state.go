package rules

import (
	"strconv"
	"strings"
	"time"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
)

// stateMatch compiles matches that depend on rates, counters, chance or time.
func stateMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.LimitMatch:
		return always(varies("limit of one packet in " + perPacket(uint64(v.Avg), 10000) + " is not used up"))
	case *fw.HashlimitMatch:
		return func(m *machine) truth { return hashlimit(m, v) }
	case *fw.RecentMatch:
		return func(m *machine) truth { return recent(m, v) }
	case *fw.QuotaMatch:
		return always(varies("quota of " + strconv.FormatUint(v.Bytes, 10) + " bytes is not used up").xor(v.Invert))
	case *fw.StatisticMatch:
		return always(statistic(v))
	case *fw.TimeMatch:
		return func(m *machine) truth { return during(m.env.Now().UTC(), v) }
	case *fw.NFAcctMatch:
		return always(varies("nfacct " + v.Name + " has no quota or is over it"))
	case *fw.CPUMatch:
		return always(varies("CPU " + strconv.FormatUint(uint64(v.CPU), 10) + " handles the packet").xor(v.Invert))
	}
	return nil
}

//go:noinline
func always(t truth) matchFunc { return func(*machine) truth { return t } }

func perPacket(avg, scale uint64) string {
	if scale == 0 {
		return "?"
	}
	return (time.Duration(avg) * time.Second / time.Duration(scale)).String()
}

// statistic is net/netfilter/xt_statistic.c.
func statistic(v *fw.StatisticMatch) truth {
	chance, what := v.Chance(), "statistic random "
	if !v.Random {
		chance, what = 1/float64(max(v.Every, 1)), "statistic nth "
	}
	switch {
	case chance >= 1:
		return is(!v.Invert)
	case chance <= 0:
		return is(v.Invert)
	}
	what += strings.TrimRight(strconv.FormatFloat(chance, 'f', 5, 64), "0")
	return truth{is: maybe, why: what, state: true, draw: true, chance: chance}.xor(v.Invert)
}

// during is net/netfilter/xt_time.c:time_mt.
func during(now time.Time, v *fw.TimeMatch) truth {
	const allDays, allMonth = 0xfe, 0xfffffffe
	if v.LocalTime {
		// The kernel's time zone can't be read.
		if v.DayStart == 0 && v.DayStop >= 86399*time.Second && v.WeekDays&allDays == allDays && v.MonthDays&allMonth == allMonth &&
			now.Add(-14*time.Hour).After(v.DateStart) && now.Add(14*time.Hour).Before(v.DateStop) {
			return is(true)
		}
		return varies("the time in the kernel's time zone")
	}
	if now.Unix() < v.DateStart.Unix() || now.Unix() > v.DateStop.Unix() {
		return is(false)
	}
	day := time.Duration(now.Hour()*3600+now.Minute()*60+now.Second()) * time.Second
	if v.DayStart < v.DayStop {
		if day < v.DayStart || day > v.DayStop {
			return is(false)
		}
	} else {
		if day < v.DayStart && day > v.DayStop {
			return is(false)
		}
		if v.Contiguous && day <= v.DayStop {
			now = now.AddDate(0, 0, -1)
		}
	}
	weekday := int(now.Weekday())
	if weekday == 0 {
		weekday = 7
	}
	return is(v.WeekDays&(1<<weekday) != 0 && (v.MonthDays&allMonth == allMonth || v.MonthDays&(1<<now.Day()) != 0))
}

// senderMatch compiles matches on the local socket.
func senderMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.OwnerMatch:
		return func(m *machine) truth { return owner(m, v) }
	case *fw.CgroupMatch:
		return func(m *machine) truth {
			s := m.pkt.Local
			switch {
			case s == nil && !m.maySteal():
				return is(false)
			case s == nil || v.HasClassID || s.Cgroup == "":
				return unsure("the sender's cgroup").xor(v.Invert)
			}
			have, path := strings.Trim(s.Cgroup, "/"), strings.Trim(v.Path, "/")
			return is(path == "" || have == path || strings.HasPrefix(have, path+"/")).xor(v.Invert)
		}
	case *fw.SocketMatch:
		return func(m *machine) truth { return socket(m, v) }
	}
	return nil
}

// owner is net/netfilter/xt_owner.c.
func owner(m *machine, v *fw.OwnerMatch) truth {
	s := m.pkt.Local
	if s == nil {
		if m.maySteal() {
			return unsure("whether the packet has a socket")
		}
		return is(v.HasUID == v.InvUID && v.HasGID == v.InvGID && v.HasSocket == v.InvSocket && !v.SupplGroups)
	}
	if !s.KnownID {
		return unsure("the owner of the sending socket")
	}
	if v.HasSocket && v.InvSocket {
		return is(false)
	}
	if v.HasUID && (s.UID >= v.UIDMin && s.UID <= v.UIDMax) == v.InvUID {
		return is(false)
	}
	if !v.HasGID {
		return is(true)
	}
	t := is(s.GID >= v.GIDMin && s.GID <= v.GIDMax)
	if t.is == no && v.SupplGroups {
		t = unsure("the supplementary groups of the sender")
	}
	return t.xor(v.InvGID)
}

// socket is net/netfilter/xt_socket.c. Without --nowildcard a socket that
// listens on every address does not count, which can't be told here.
func socket(m *machine, v *fw.SocketMatch) truth {
	found, known := m.env.Socket(&m.pkt, false)
	t := unsure("a local socket for the packet")
	switch {
	case known && !found:
		return is(false)
	case known && v.NoWildcard:
		t = is(true)
	}
	if v.Transparent {
		if transparent, ok := m.env.Socket(&m.pkt, true); ok {
			t = t.and(is(transparent))
		} else {
			t = t.and(unsure("whether the socket is transparent"))
		}
	}
	if v.RestoreMark && t.is != no {
		m.pkt.Mark, m.pkt.MarkUnknown = 0, ^uint32(0)
	}
	return t
}
