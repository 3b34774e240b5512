package fixups_test

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func freezerCases() []opCase {
	return []opCase{
		{"a process goes on", func(s *snap.Snapshot) fixups.Op {
			return &fixups.ProcessContinue{Proc: fixups.Proc{PID: 100, Name: "nginx"}}
		}, []string{"kill -CONT 100"}, []string{"kill -STOP 100"}},
		{
			"a frozen control group goes on", func(s *snap.Snapshot) fixups.Op { return fixups.NewGroupThaw(s, "/sys/fs/cgroup/app/cgroup.freeze") },
			[]string{"echo 0 > /sys/fs/cgroup/app/cgroup.freeze"},
			[]string{"echo 1 > /sys/fs/cgroup/app/cgroup.freeze"},
		},
		{
			"one of the older kind is frozen", func(s *snap.Snapshot) fixups.Op {
				return &fixups.GroupFreeze{Freezer: fixups.Freezer{File: "/sys/fs/cgroup/freezer/app/freezer.state", Procs: []fixups.Proc{{PID: 100, Name: "nginx"}}}}
			},
			[]string{"echo FROZEN > /sys/fs/cgroup/freezer/app/freezer.state"},
			[]string{"echo THAWED > /sys/fs/cgroup/freezer/app/freezer.state"},
		},
	}
}
