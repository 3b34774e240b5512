package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestSocketsAreFoundByTheMountsThatShowThem(t *testing.T) {
	t.Parallel()
	const own = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:21 / /run rw - tmpfs tmpfs rw\n"
	tests := []struct {
		name, mounts string
		want         []snap.SocketMount
	}{
		{"the file", "5 1 0:21 /docker.sock /var/run/docker.sock ro - tmpfs tmpfs rw\n", []snap.SocketMount{{Socket: "/run/docker.sock", At: "/var/run/docker.sock"}}},
		{"its directory", "5 1 0:21 / /host/run rw - tmpfs tmpfs rw\n", []snap.SocketMount{{Socket: "/run/docker.sock", At: "/host/run/docker.sock"}}},
		{"another file there", "5 1 0:21 /utmp /run/utmp rw - tmpfs tmpfs rw\n", nil},
		{"a file of that name elsewhere", "5 1 0:99 /docker.sock /var/run/docker.sock rw - tmpfs tmpfs rw\n", nil},
		{"the host's root without what is mounted below it", "5 1 8:1 / /host rw - ext4 /dev/sda1 rw\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHost(t)
			h.file("/run/docker.sock", "")
			h.file("/proc/thread-self/mountinfo", own)
			h.proc(fakeProc{pid: webPID, comm: "httpd", net: webNet, mountinfo: "3 1 0:50 / / rw - overlay overlay rw\n" + tt.mounts})
			m := newMachine(h.options())
			if d := cmp.Diff(tt.want, m.socketsIn(m.procs[webPID])); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
