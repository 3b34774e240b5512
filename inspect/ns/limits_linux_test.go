package ns

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestLimitsKeepTheTightestGroup(t *testing.T) {
	t.Parallel()
	group := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	var got snap.Limits
	for _, dir := range []string{
		group(map[string]string{"pids.max": "max\n", "pids.current": "3\n", "cpu.max": "max 100000\n", "cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}),
		group(map[string]string{"pids.max": "3\n", "pids.current": "3\n", "pids.events": "max 7\nmax.imposed 9\n", "cpu.max": "5000 100000\n", "cpu.stat": "usage_usec 1\nnr_periods 9\nnr_throttled 8\n"}),
		group(map[string]string{"pids.max": "100\n", "pids.current": "4\n", "cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"}),
	} {
		readPids(dir, &got)
		readCPU(dir, &got)
	}
	want := snap.Limits{Pids: 3, PidsMax: 3, PidsRefused: 7, CPUQuota: 5000, CPUPeriod: 100000, Periods: 9, Throttled: 8}
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}
