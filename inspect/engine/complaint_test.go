package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestComplaint: of what a program said only the last failure is kept, without secrets.
func TestComplaint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{[]string{"ready", "listen tcp :80: bind: permission denied", "bye"}, "listen tcp :80: bind: permission denied"},
		{[]string{"password is hunter2", "exiting"}, ""},
		{[]string{"dial tcp 10.0.0.9:5432: connect: connection refused", "dial tcp 10.0.0.9:5433: i/o timeout"}, "dial tcp 10.0.0.9:5433: i/o timeout"},
		{[]string{"cannot reach postgres://bob:hunter2@db/x: Connection refused"}, "cannot reach postgres://db/x: Connection refused"},
		{[]string{"\x1b[31mnginx: Address in use\x07\xff\x1b[0m"}, "[31mnginx: Address in use[0m"},
		{[]string{"", " \r"}, ""},
		{nil, ""},
	} {
		if got := complaint(tt.lines); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.lines, got, tt.want)
		}
	}
}

// TestUnframed: a log in frames, one that is cut short, and one of a terminal.
func TestUnframed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"\x01\x00\x00\x00\x00\x00\x00\x04one\n\x02\x00\x00\x00\x00\x00\x00\x03two": {"one", "two"},
		"\x02\x00\x00\x00\xff\xff\xff\xffcut":                                      {"cut"},
		"plain\r\ntext":                                                            {"plain\r", "text"},
		"":                                                                         {""},
	} {
		if d := cmp.Diff(want, unframed([]byte(in))); d != "" {
			t.Errorf("%q (-want +got):\n%s", in, d)
		}
	}
}

// TestKeptLines reads the end of a log file in the form of either engine.
func TestKeptLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	for in, c := range map[string]struct {
		text func(string) string
		want string
	}{
		`og":"cut"}` + "\n" + `{"log":"bind: Address already in use\n","stream":"stderr"}` + "\n": {jsonLine, "bind: Address already in use"},
		"2026-11-27T18:00:00.1+00:00 stderr F bind: Permission denied\n":                          {criLine, "bind: Permission denied"},
	} {
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := complaint(kept(path, c.text)); got != c.want {
			t.Errorf("%q: %q, want %q", in, got, c.want)
		}
	}
	if got := kept(filepath.Dir(path), jsonLine); got != nil {
		t.Errorf("of a directory: %q", got)
	}
}

// TestEnded: whose words are asked for.
func TestEnded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		c    snap.Container
		want bool
	}{
		{snap.Container{State: "exited", ExitCode: 1}, true},
		{snap.Container{State: "exited"}, false},
		{snap.Container{State: "exited", ExitCode: 137, Stopped: true}, false},
		{snap.Container{State: "restarting"}, true},
		{snap.Container{State: "running", Restarts: 3, RestartPolicy: "always"}, true},
		{snap.Container{State: "running"}, false},
	} {
		if got := ended(&tt.c); got != tt.want {
			t.Errorf("%+v: %v", tt.c, got)
		}
	}
}
