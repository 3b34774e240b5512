package house

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTableOfBenchmarks: make bench's table has the least, the middle and the most
// of each figure, and a benchmark that fails fails it.
func TestTableOfBenchmarks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("awk"); err != nil {
		t.Skip("there is no awk: ", err)
	}
	table := func(text string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "awk", "-f", "../ci/bench.awk")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		for i, l := range lines {
			lines[i] = strings.Join(strings.Fields(l), " ")
		}
		return strings.Join(lines, "\n"), err
	}
	got, err := table(`goos: linux
BenchmarkAttach/50-2   1   5000 ns/op   1.50 ours/floor
BenchmarkAttach/50-2   1   4000 ns/op   1.25 ours/floor
BenchmarkAttach/50-2   1   9000 ns/op   1.75 ours/floor
PASS
`)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("benchmark figure min median max\nBenchmarkAttach/50 ns/op 4000 5000 9000\nBenchmarkAttach/50 ours/floor 1.25 1.5 1.75", got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got, err := table("--- FAIL: BenchmarkX\nFAIL\n"); err == nil {
		t.Errorf("a failure is none: %s", got)
	}
}
