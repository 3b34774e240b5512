package engine

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rooted adds a process with a root directory of its own and gives its container.
func (h *fakeHost) rooted(pid int, name, id string) snap.Container {
	h.t.Helper()
	h.proc(fakeProc{pid: pid, ppid: 1, comm: name, net: webNet, cgroup: "0::/docker/" + id + "\n", mountinfo: "1 0 0:1 / / rw - overlay overlay rw\n"})
	if err := os.MkdirAll(h.path(fmt.Sprintf("/proc/%d/root/etc", pid)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return snap.Container{Ref: "docker:" + name, Engine: Docker, ID: id, Name: name, State: "running", PID: pid, Netns: name}
}

// both runs a test with the reading child and without.
func both(t *testing.T, f func(*testing.T, []string)) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("in a child", func(t *testing.T) {
		t.Parallel()
		f(t, []string{exe, ChildArg})
	})
	t.Run("in this process", func(t *testing.T) {
		t.Parallel()
		f(t, nil)
	})
}

func TestResolversOfHostContainersAndNamespaces(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, child []string) { //nolint:thelper // a subtest's body
		h := newFakeHost(t)
		h.file("/run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\nsearch example.org\n")
		h.file("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n")
		if err := os.MkdirAll(h.path("/etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		h.link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
		h.file("/etc/hosts", "127.0.0.1 localhost\n")
		h.file("/etc/nsswitch.conf", "hosts: files dns\n")
		h.file("/lib64/ld-linux-x86-64.so.2", "")
		h.file("/etc/netns/blue/resolv.conf", "nameserver 192.0.2.54\n")
		web := h.rooted(100, "web", webID)
		h.file("/proc/100/root/etc/resolv.conf", "nameserver 127.0.0.11\r\n")
		h.file("/proc/100/root/etc/hosts", "172.18.0.2 web\n")
		h.file("/proc/100/root/lib/ld-musl-x86_64.so.1", "")
		bare := h.rooted(101, "bare", plainID)
		o := Options{Root: h.root, Child: child, Named: []Named{{"blue", []string{"blue"}}, {"red", []string{"red", "../x"}}}}
		got, gaps := Resolvers(t.Context(), []snap.Container{web, bare, {Name: "old", State: "exited"}}, o)
		if len(gaps) != 0 {
			t.Errorf("gaps = %v", gaps)
		}
		var lines []string
		for _, r := range got {
			lines = append(lines, fmt.Sprintf("%s in %s from %s: %v exists=%v up=%v hosts=%d %s nss=%v libc=%s", r.Owner, r.Netns, r.Source, r.ResolvConf.Nameservers, r.ResolvConf.Exists, r.Upstreams, len(r.Hosts), r.HostsSource, r.NSSwitch, r.Libc))
		}
		want := []string{
			"host in host from /etc/resolv.conf: [127.0.0.53] exists=true up=[192.0.2.53] hosts=1 /etc/hosts nss=[files dns] libc=glibc",
			"docker:web in web from root:/etc/resolv.conf: [127.0.0.11] exists=true up=[] hosts=1 root:/etc/hosts nss=[] libc=musl",
			"docker:bare in bare from root:/etc/resolv.conf: [] exists=false up=[] hosts=0  nss=[] libc=",
			"blue in blue from /etc/netns/blue/resolv.conf: [192.0.2.54] exists=true up=[] hosts=1 /etc/hosts nss=[files dns] libc=glibc",
			"red in red from /etc/resolv.conf: [127.0.0.53] exists=true up=[192.0.2.53] hosts=1 /etc/hosts nss=[files dns] libc=glibc",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(t *testing.T, etc string)
		gap  string // kind, "" none
		why  string
		want string // first nameserver
	}{
		{"a FIFO", func(t *testing.T, etc string) {
			t.Helper()
			if err := syscall.Mkfifo(etc+"/resolv.conf", 0o600); err != nil {
				t.Fatal(err)
			}
		}, "unsupported", "a FIFO", "engine"},
		{"a directory", func(t *testing.T, etc string) {
			t.Helper()
			if err := os.Mkdir(etc+"/resolv.conf", 0o700); err != nil {
				t.Fatal(err)
			}
		}, "unsupported", "a directory", "engine"},
		{"ten gigabytes", func(t *testing.T, etc string) {
			t.Helper()
			f, err := os.Create(etc + "/resolv.conf")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Truncate(10 << 30); err != nil {
				t.Fatal(err)
			}
		}, "limit", "10737418240 bytes", "engine"},
		{"a link to a file of the host", func(t *testing.T, etc string) {
			t.Helper()
			if err := os.Symlink("../../../../secret", etc+"/resolv.conf"); err != nil {
				t.Fatal(err)
			}
		}, "", "", "none"}, // inside the root there is no such file
		{"an absolute link to a file of the container", func(t *testing.T, etc string) {
			t.Helper()
			if err := os.WriteFile(etc+"/inside", []byte("nameserver 192.0.2.7\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/inside", etc+"/resolv.conf"); err != nil {
				t.Fatal(err)
			}
		}, "", "", "192.0.2.7"},
		{"a ring of links", func(t *testing.T, etc string) {
			t.Helper()
			if err := os.Symlink("resolv.conf", etc+"/resolv.conf"); err != nil {
				t.Fatal(err)
			}
		}, "unsupported", "must not be followed", "engine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, child []string) {
				t.Helper()
				h := newFakeHost(t)
				h.file("/secret", "nameserver 192.0.2.66\n")
				h.file("/var/lib/docker/containers/"+webID+"/resolv.conf", "nameserver 192.0.2.99\n")
				c := h.rooted(100, "web", webID)
				c.ResolvConfPath = "/var/lib/docker/containers/" + webID + "/resolv.conf"
				tt.make(t, h.path("/proc/100/root/etc"))
				list, gaps := Resolvers(t.Context(), []snap.Container{c}, Options{Root: h.root, Child: child})
				want := []string{}
				if tt.gap != "" {
					want = append(want, "resolv.conf: "+tt.gap)
				}
				if diff := cmp.Diff(want, gapKinds(gaps)); diff != "" {
					t.Errorf("gaps (-want +got):\n%s", diff)
				}
				if len(gaps) > 0 && !strings.Contains(gaps[0].Why, tt.why) {
					t.Errorf("why = %q, want %q in it", gaps[0].Why, tt.why)
				}
				if len(list) != 2 {
					t.Fatalf("%d resolvers, want the host's and web's", len(list))
				}
				got := "none"
				if ns := list[1].ResolvConf.Nameservers; len(ns) > 0 {
					got = ns[0].String()
				}
				if strings.HasPrefix(list[1].Source, "engine:") && got == "192.0.2.99" {
					got = "engine"
				}
				if got != tt.want {
					t.Errorf("nameserver %q from %q, want %q", got, list[1].Source, tt.want)
				}
			})
		})
	}
}

func TestAnotherProcessUnderTheSamePidIsNotRead(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, child []string) {
		t.Helper()
		h := newFakeHost(t)
		c := h.rooted(100, "web", webID)
		c.ID = plainID // what the snapshot believes
		h.file("/proc/100/root/etc/resolv.conf", "nameserver 192.0.2.1\n")
		list, gaps := Resolvers(t.Context(), []snap.Container{c}, Options{Root: h.root, Child: child})
		if diff := cmp.Diff([]string{"resolv.conf: vanished"}, gapKinds(gaps)); diff != "" {
			t.Errorf("gaps (-want +got):\n%s", diff)
		}
		if len(list) != 1 {
			t.Errorf("resolvers = %v, want the host's alone", list)
		}
	})
}

func TestWhatTheEngineWroteIsKeptWhenItDiffers(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	c := h.rooted(100, "web", webID)
	c.ResolvConfPath = "/var/lib/docker/containers/" + webID + "/resolv.conf"
	h.file(c.ResolvConfPath, "nameserver 127.0.0.11\n")
	h.file("/proc/100/root/etc/resolv.conf", "nameserver 192.0.2.1\n")
	list, _ := Resolvers(t.Context(), []snap.Container{c}, Options{Root: h.root})
	if r := list[1]; r.EngineResolvConf != "nameserver 127.0.0.11\n" || r.ResolvConf.Nameservers[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("resolver = %+v", r)
	}
}

func TestWithoutAChildServedFileSystemsAreNotRead(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	c := h.rooted(100, "web", webID)
	h.file("/proc/100/mountinfo", "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /data rw - fuse.sshfs me@x: rw\n")
	h.file("/proc/100/root/etc/resolv.conf", "nameserver 192.0.2.1\n")
	_, gaps := Resolvers(t.Context(), []snap.Container{c}, Options{Root: h.root})
	if len(gaps) != 1 || !strings.Contains(gaps[0].Why, "fuse.sshfs") {
		t.Errorf("gaps = %v", gaps)
	}
}

func TestAChildThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	var list []snap.Container
	for i, id := range []string{webID, plainID} {
		list = append(list, h.rooted(100+i, fmt.Sprint("c", i), id))
	}
	start := time.Now()
	_, gaps := Resolvers(t.Context(), list, Options{Root: h.root, Child: []string{"/bin/sleep", "60"}})
	if diff := cmp.Diff([]string{"resolv.conf: timeout", "resolv.conf: timeout"}, gapKinds(gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if d := time.Since(start); d < 2*rootDeadline || d > 2*rootDeadline+5*time.Second {
		t.Errorf("two hanging containers took %v, want %v", d, 2*rootDeadline)
	}
}

// TestFileWrittenWhileRead: a resolv.conf that somebody writes in place, again and
// again, is read as it was or as it is, never empty.
func TestFileWrittenWhileRead(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, child []string) { //nolint:thelper // a subtest's body
		h := newFakeHost(t)
		web := h.rooted(100, "web", webID)
		texts := []string{"nameserver 192.0.2.1\nnameserver 192.0.2.2\n", "nameserver 192.0.2.3\nnameserver 192.0.2.4\n"}
		path := "/proc/100/root/etc/resolv.conf"
		h.file(path, texts[0])
		f, err := os.OpenFile(h.path(path), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				if i%20 == 0 {
					time.Sleep(2 * fresh) // a moment of peace
				}
				select {
				case <-stop:
					return
				default:
				}
				_ = f.Truncate(0)
				time.Sleep(100 * time.Microsecond)
				_, _ = f.WriteAt([]byte(texts[i%2]), 0)
			}
		}()
		defer func() { close(stop); <-done }()
		read := 0
		for range 10 {
			got, gaps := Resolvers(t.Context(), []snap.Container{web}, Options{Root: h.root, Child: child})
			for _, r := range got {
				if r.Owner != web.Ref {
					continue
				}
				if raw := r.ResolvConf.Raw; raw != texts[0] && raw != texts[1] && len(gaps) == 0 {
					t.Errorf("read %q, without a gap", raw)
				}
				read++
			}
		}
		if read == 0 {
			t.Error("nothing was read")
		}
	})
}

// A process of which only the namespace is known is read for as long as it is in it.
func TestResolverByTheNamespace(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, child []string) { //nolint:thelper // a subtest's body
		h := newFakeHost(t)
		blue := h.rooted(100, "blue", webID)
		blue.Engine, blue.Ref, blue.ID = CNI, "cni:blue", "cnitool-77"
		h.file("/proc/100/root/etc/resolv.conf", "nameserver 192.0.2.54\n")
		for inode, want := range map[uint64]string{webNet: "192.0.2.54", webNet + 1: "vanished"} {
			list, gaps := Resolvers(t.Context(), []snap.Container{blue}, Options{Root: h.root, Child: child, Inside: map[string]uint64{blue.Ref: inode}})
			got := ""
			for _, r := range list {
				if r.Owner == blue.Ref {
					got += r.ResolvConf.Nameservers[0].String()
				}
			}
			for _, g := range gaps {
				if g.Ref == snap.RefResolver(blue.Ref) {
					got += g.Kind
				}
			}
			if got != want {
				t.Errorf("in namespace %d: %q, want %q", inode, got, want)
			}
		}
	})
}

// Who runs as a user that the mode keeps out has no resolv.conf, whatever root sees.
func TestResolvConfThatItsUserMayNotRead(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	web := h.rooted(100, "web", webID)
	h.file("/proc/100/root/etc/resolv.conf", "nameserver 127.0.0.11\n")
	for _, c := range []struct {
		name, ids, caps string
		file, dir       os.FileMode
		denied          bool
	}{
		{"everybody may", "1000", "0", 0o644, 0o755, false},
		{"its owner alone may", "1000", "0", 0o600, 0o755, true},
		{"its group may", "1000", "0", 0o640, 0o755, true},
		{"the directory is closed", "1000", "0", 0o644, 0o700, true},
		{"root without capabilities", "0", "0", 0o200, 0o755, true},
		{"whoever overrides modes", "1000", "2", 0o600, 0o755, false},
	} {
		if os.Geteuid() != 0 {
			t.Skip("the files must be another user's: needs root")
		}
		h.file("/proc/100/status", fmt.Sprintf("Name:\tweb\nUid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s\nGid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s\nGroups:\t27\nCapEff:\t%016s\n", c.ids, c.caps))
		for path, mode := range map[string]os.FileMode{"/proc/100/root/etc/resolv.conf": c.file, "/proc/100/root/etc": c.dir, "/proc/100/root": 0o755} {
			if err := os.Chmod(h.path(path), mode); err != nil {
				t.Fatal(err)
			}
		}
		got, gaps := Resolvers(t.Context(), []snap.Container{web}, Options{Root: h.root})
		if len(got) == 0 || len(gaps) > 1 {
			t.Fatalf("%s: %v, gaps %v", c.name, got, gaps)
		}
		rc := got[len(got)-1].ResolvConf
		if (rc.Denied != "") != c.denied || (len(rc.Nameservers) == 0) != c.denied || !rc.Exists {
			t.Errorf("%s: denied %q, servers %v", c.name, rc.Denied, rc.Nameservers)
		}
	}
}
