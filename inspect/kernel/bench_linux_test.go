package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// benchRules is how many rules a large host has.
const benchRules = 50_000

// benchNetns is a namespace with benchRules rules of a kind of iptables.
func benchNetns(b *testing.B, tool string) *ns.Handle {
	b.Helper()
	var h *ns.Handle
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h, err = ns.Self()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		b.Skipf("needs a network namespace of its own: %v", err)
	}
	b.Cleanup(func() { _ = h.Close() })
	var text strings.Builder
	text.WriteString("*filter\n:FORWARD DROP [0:0]\n:BAN - [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j BAN\n")
	for i := range benchRules - 2 {
		fmt.Fprintf(&text, "-A BAN -s 10.%d.%d.%d/32 -p tcp -m tcp --dport %d -j DROP\n", i>>16&255, i>>8&255, i&255, 1000+i%5000)
	}
	text.WriteString("COMMIT\n")
	_, err := ns.Tool{Name: tool + "-restore", Stdin: strings.NewReader(text.String()), Timeout: 5 * time.Minute, Env: []string{"XTABLES_LOCKFILE=/dev/null"}}.Run(b.Context(), h)
	var refused *ns.ToolError
	if errors.Is(err, snap.ErrTool) || errors.As(err, &refused) {
		b.Skipf("needs %s-restore: %v", tool, err)
	}
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// BenchmarkReadRuleset reads and decodes 50,000 rules. Its yardstick is the
// tool's own way to print them, in the same run: x-save is how many times as
// long as that it takes, and at most 1 is wanted.
func BenchmarkReadRuleset(b *testing.B) {
	for _, tool := range []string{"iptables-nft", "iptables-legacy"} {
		b.Run(tool, func(b *testing.B) {
			h := benchNetns(b, tool)
			save, err := ns.Look(tool + "-save")
			if err != nil {
				b.Skip(err)
			}
			var mine, theirs time.Duration
			var before, after runtime.MemStats
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				cmd := exec.Command(save)
				var out bytes.Buffer
				cmd.Stdout = &out
				if err := h.Do(cmd.Start); err != nil {
					b.Fatal(err)
				}
				if err := cmd.Wait(); err != nil || out.Len() < 40*benchRules {
					b.Fatalf("%s: %d bytes, %v", save, out.Len(), err)
				}
				theirs += time.Since(start)
				runtime.GC()
				runtime.ReadMemStats(&before)
				start = time.Now()
				rs, gaps := ReadRuleset(b.Context(), h)
				mine += time.Since(start)
				runtime.GC()
				runtime.ReadMemStats(&after)
				rules := 0
				for i := range rs.Tables {
					for j := range rs.Tables[i].Chains {
						rules += len(rs.Tables[i].Chains[j].Rules)
					}
				}
				if rules != benchRules || len(gaps) > 0 {
					b.Fatalf("%d rules, gaps %v", rules, gaps)
				}
				runtime.KeepAlive(rs)
				n++
			}
			b.ReportMetric(float64(mine)/float64(theirs), "x-save")
			b.ReportMetric(float64(mine.Milliseconds())/float64(n), "read-ms")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "kept-MB")
		})
	}
}
