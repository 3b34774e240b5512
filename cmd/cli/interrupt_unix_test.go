//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestInterrupt: Ctrl-C in the middle of a reading, on a reader that listens and
// on one that does not.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"obeys": nil, "deaf": {"ND_DEAF=1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "netdoctor", "check", "--timeout", "20s") // TestMain puts it into PATH
			cmd.Env = append(append(os.Environ(), "ND_READ=hang"), env...)
			var out bytes.Buffer
			cmd.Stdout = &out
			pipe, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(pipe)
			if line, err := r.ReadString('\n'); err != nil || line != "hanging\n" {
				t.Fatalf("first line %q, %v", line, err)
			}
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
				t.Errorf("ended with %v, want exit code 130", err)
			}
			if got := strings.TrimSpace(string(rest)); got != "netdoctor: error: interrupted" || out.Len() != 0 {
				t.Errorf("stderr %q, stdout %q", got, out.String())
			}
		})
	}
}
