package ns

import (
	"fmt"
	"io"
	"time"
)

// Limits of host tools: the longest iptables-save seen took 1.3 s for 50,000
// rules and printed 6 MB.
const (
	toolTimeout = 10 * time.Second
	toolOutput  = 16 << 20 // bytes
	toolErrors  = 64 << 10 // bytes of stderr
)

// Tool is one run of a host program.
type Tool struct {
	// Name is the program's base name ("iptables-save"), or an absolute path.
	Name string
	Args []string
	// Stdin is what it reads; nil: nothing.
	Stdin io.Reader
	// Timeout; zero: 10 s. An earlier end of ctx wins.
	Timeout time.Duration
	// Env is added to the clean environment ("XTABLES_LOCKFILE=…").
	Env []string
	// Daemon: it leaves a process behind that must outlive us. What it writes is not
	// read, and it has a session of its own.
	Daemon bool
}

// ToolError is a host program that ran and was not content.
type ToolError struct {
	Tool   string
	Args   []string
	Code   int    // exit code; -1 killed
	Stderr string // at most 64 KiB
}

func (e *ToolError) Error() string {
	return fmt.Sprintf("%s ended with code %d: %s", e.Tool, e.Code, firstLine(e.Stderr))
}

func firstLine(s string) string {
	for i := range len(s) {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}

// Aardvark is the path of podman's resolver program, which is in none of the
// directories for commands (containers/common pkg/config/config_linux.go:
// DefaultHelperBinariesDir). Errors as Look.
func Aardvark() (path string, err error) {
	for _, d := range []string{"/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman", "/usr/lib/podman"} {
		if path, err = Look(d + "/aardvark-dns"); err == nil {
			return path, nil
		}
	}
	return "", err
}

// toolDirs are where host programs are looked for, whatever PATH says.
func toolDirs() []string {
	return []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin", "/run/current-system/sw/bin"}
}
