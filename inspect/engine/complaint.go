package engine

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Bounds of what is read of what programs wrote before they ended.
const (
	maxComplaints = 16      // containers
	logLines      = "20"    // of each
	logTail       = 8 << 10 // bytes of a file, where there is nobody to ask for lines
	maxComplaint  = 200     // bytes that are kept
)

// failures are what programs say where a call of the network failed: the C library's words
// for the error (strerror(3), gai_strerror(3)), and what the runtimes make of them.
var failures = []string{
	"address already in use", "address in use", "eaddrinuse", "cannot assign requested address", "address not available", "eaddrnotavail", "permission denied", "eacces",
	"connection refused", "econnrefused", "connection reset", "connection timed out", "etimedout", "i/o timeout", "no route to host", "host is unreachable", "ehostunreach",
	"network is unreachable", "network unreachable", "enetunreach", "address family not supported", "operation not permitted", "too many open files",
	"name or service not known", "temporary failure in name resolution", "name resolution", "no such host", "host not found", "unknown host", "unknownhostexception",
	"enotfound", "eai_again", "could not resolve", "could not translate host name", "bad address", "no address associated with hostname", "name does not resolve",
}

// credentials are a user's name and password before a host's name (RFC 3986, section 3.2.1).
var credentials = regexp.MustCompile(`//[^\s/@]*@`)

// ended says whether a container's program came to an end that is not told by its engine:
// its own words may say why.
func ended(c *snap.Container) bool {
	switch c.State {
	case "exited", "dead":
		return c.ExitCode != 0 && !c.Stopped && !c.OOMKilled
	case "restarting":
		return true
	}
	return c.Running() && c.Restarts > 1 && c.RestartPolicy != "" && c.RestartPolicy != "no"
}

// complaint is the last of some lines that tells of a call of the network that failed, ""
// none. All else that a program says is left where it is: it may be a secret.
func complaint(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		line := printable(lines[i])
		low := strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, line)
		for _, f := range failures {
			if at := strings.Index(low, f); at >= 0 {
				line = printable(line[max(0, at+len(f)-maxComplaint):])
				return credentials.ReplaceAllString(line[:min(len(line), maxComplaint)], "//")
			}
		}
	}
	return ""
}

// printable is a line without what would move a terminal's cursor, and without bytes that
// are no text.
func printable(line string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line))
}

// unframed are the lines of a container's log as the API tells it: in frames with a head
// of 8 bytes, or plain where the container has a terminal (moby api: ContainerLogs).
func unframed(b []byte) []string {
	const head = 8
	var text []byte
	for rest := b; len(rest) > 0; {
		if len(rest) < head || rest[0] > 2 || rest[1]|rest[2]|rest[3] != 0 {
			text = b
			break
		}
		n := uint64(binary.BigEndian.Uint32(rest[4:head]))
		rest = rest[head:]
		n = min(n, uint64(len(rest)))
		text, rest = append(text, rest[:n]...), rest[n:]
	}
	return strings.Split(string(text), "\n")
}

// kept are the last lines of a log file: each is what text makes of it.
func kept(path string, text func(string) string) []string {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil // another way of logging, or none
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, st.Size()-logTail), logTail))
	if err != nil {
		return nil
	}
	lines := strings.Split(string(b), "\n")
	for i := range lines {
		lines[i] = text(lines[i])
	}
	return lines
}

// jsonLine is the text of a line of Docker's json-file.
func jsonLine(line string) string {
	var l struct{ Log string }
	if json.Unmarshal([]byte(line), &l) != nil {
		return "" // the first one, which the tail begins within
	}
	return l.Log
}

// criLine is the text of a line of Podman's k8s-file, "TIME STREAM F TEXT".
func criLine(line string) string {
	f := strings.SplitN(line, " ", 4)
	return f[len(f)-1]
}
