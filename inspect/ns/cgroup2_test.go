package ns

import "testing"

func TestCgroup2Mount(t *testing.T) {
	const info = `24 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw
25 24 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
26 24 0:24 /kube\040pods /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw
`
	got, ok := cgroup2Mount([]byte(info))
	if !ok || got != (Cgroup2{Point: "/sys/fs/cgroup/unified", Root: "/kube pods"}) {
		t.Fatalf("mount %+v, %v", got, ok)
	}
	for group, want := range map[string]string{"/kube pods/a": "/sys/fs/cgroup/unified/a", "/kube pods": "/sys/fs/cgroup/unified", "/other": "", "/kube podsx": "", "/kube pods/../..": "", "/..": ""} {
		if dir, ok := got.Dir(group); dir != want || ok != (want != "") {
			t.Errorf("directory of %s: %q, %v; want %q", group, dir, ok, want)
		}
	}
	if _, ok := cgroup2Mount([]byte("24 1 0:22 / /sys rw - sysfs sysfs rw\n")); ok {
		t.Error("a mount of cgroup2 where there is none")
	}
}
