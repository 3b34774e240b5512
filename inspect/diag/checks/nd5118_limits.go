package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5118: a container's control group has reached its limit.
//
// A container may have so many processes and threads (--pids-limit, pids.max) and so
// much CPU time in each period (--cpus, cpu.max). At the first limit fork fails with
// EAGAIN: a server that makes a process or thread for each connection takes it and
// closes it, or never answers. At the second its programs stand still for the rest of
// the period. The kernel goes on answering ARP and finishing handshakes, so that every
// packet is seen to arrive.
//
// See it by hand:
//
//	docker stats --no-stream NAME            PIDS, CPU %
//	cat /sys/fs/cgroup/.../pids.current pids.max pids.events
//	cat /sys/fs/cgroup/.../cpu.max cpu.stat  nr_throttled of nr_periods
//
// False positives: a program that is content with what it has. Unless something of the
// container was asked for, or a process was refused while it was probed, it is a warning,
// and CPU is told of only below a fiftieth of one.
//
// Sources: kernel/cgroup/pids.c: pids_can_fork; kernel/sched/fair.c: throttle_cfs_rq;
// Documentation/admin-guide/cgroup-v2.rst
func nd5118() diag.Check {
	return diag.Check{
		Code: "ND5118", Name: "limit-reached", Severity: diag.Error, Since: "0.2",
		Title:  "A container has reached its limit of processes or of CPU time",
		Detect: detectND5118,
	}
}

func detectND5118(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		l := c.Limits
		if l == nil || c.State != "running" {
			continue
		}
		f := diag.Finding{Subject: diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns}, Severity: diag.Warning, Weight: 45}
		for k := range in.Flows {
			if x := &in.Flows[k]; x.Asked && (x.Target == c.Ref || c.Netns != "" && x.Trace.Arrived == c.Netns) {
				f.Covers.Traces = append(f.Covers.Traces, k)
			}
		}
		asked := len(f.Covers.Traces) > 0
		now := l
		if l.Later != nil {
			now = l.Later
		}
		refused := now.PidsRefused > l.PidsRefused
		if asked || refused {
			f.Severity = diag.Error
		}
		if refused || now.Throttled > l.Throttled {
			f.Confidence = diag.Proved
		}
		l = now
		switch {
		case l.PidsMax > 0 && (refused || l.Pids >= l.PidsMax && l.PidsRefused > 0):
			f.Summary = fmt.Sprintf("%s can start no process and no thread: it has %d, its pids limit is %d, and more was refused (%d times)", c.Name, l.Pids, l.PidsMax, l.PidsRefused)
			f.Cause = "fork fails with EAGAIN: a server that needs a process or thread for a connection can't answer it"
			f.Evidence = limitLines(c, fmt.Sprintf("pids.current %d, pids.max %d, pids.events max %d", l.Pids, l.PidsMax, l.PidsRefused))
			f.Advice = limitAdvice(c, "--pids-limit N")
		case noTime(l, asked) && (l == c.Limits || l.Throttled > c.Limits.Throttled):
			f.Summary = fmt.Sprintf("%s is given %.3g of a CPU and stands still for the rest: used up in %d of %d periods", c.Name, float64(l.CPUQuota)/float64(l.CPUPeriod), l.Throttled, l.Periods)
			f.Cause = "its programs wait for CPU time, so that answers come late or never"
			f.Evidence = limitLines(c, fmt.Sprintf("cpu quota %d of %d us, nr_throttled %d of %d", l.CPUQuota, l.CPUPeriod, l.Throttled, l.Periods))
			f.Advice = limitAdvice(c, "--cpus N")
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// noTime says whether a container has used up its CPU time most of the time.
func noTime(l *snap.Limits, asked bool) bool {
	return l.Periods > 2 && l.Throttled*10 >= l.Periods*9 && (l.CPUQuota*50 < l.CPUPeriod || asked && l.CPUQuota*5 <= l.CPUPeriod)
}

func limitLines(c *snap.Container, line string) []diag.Evidence {
	return []diag.Evidence{ev(fmt.Sprintf("cat /proc/%d/cgroup, and the files of that group", c.PID), line, snap.RefContainer(c.Ref))}
}

// limitAdvice is how a limit is raised; engines other than these have no such command.
func limitAdvice(c *snap.Container, option string) string {
	if snap.IsDocker(c.Engine) || snap.IsPodman(c.Engine) {
		return fmt.Sprintf("look what it runs (%s top %s), then raise the limit: %[1]s update %[3]s %[2]s", diag.ToolOf(c.Engine, c.Name), c.Name, option)
	}
	return "look what it runs, then raise the limit (" + strings.TrimSuffix(option, " N") + ") where it is set"
}
