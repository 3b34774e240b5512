package dockerd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// The lab of faults that lies beside this project, and the program to be
// tried; both are set by make dryrun, without which the test does nothing: an
// hour of real engines is no part of a test run.
const (
	envFaultLab = "ND_FAULTLAB" // its directory
	envProgram  = "ND_BIN"      // netdoctor
	envFaults   = "ND_FAULTS"   // "all", or names with commas
)

// faultLab is that lab.
type faultLab struct {
	t             *testing.T
	dir, bin, out string
	clean         []byte // dump of the host without a fault; nil: not known
}

// TestDryRunIsTheDiff breaks the lab's host with every fault that can be mended
// on it. What fix --dry-run says will differ is what differs after fix --yes,
// and undo gives back the dump of the broken host, byte for byte.
func TestDryRunIsTheDiff(t *testing.T) {
	l := &faultLab{t: t, dir: os.Getenv(envFaultLab), bin: os.Getenv(envProgram), out: t.TempDir()}
	if l.dir == "" || l.bin == "" {
		return
	}
	l.script(l.t, 4*time.Minute, "up")
	var mended, same, back int
	for _, id := range l.faults("fixable", "auto") {
		t.Run(id, func(t *testing.T) {
			f := l.begin(t, id)
			defer f.end()
			m, s, b := f.compare()
			mended, same, back = mended+m, same+s, back+b
		})
	}
	t.Logf("mended %d, the dry run was the diff %d, undo gave the same dump %d", mended, same, back)
}

// faults are the names of those to be tried: the ones that were asked for, else
// those in whose head a key has one of these values.
func (l *faultLab) faults(key string, values ...string) []string {
	if want := os.Getenv(envFaults); want != "" && want != "all" {
		return strings.Split(want, ",")
	}
	files, err := filepath.Glob(filepath.Join(l.dir, "faults", "*.sh"))
	if err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for _, p := range files {
		if id := strings.TrimSuffix(filepath.Base(p), ".sh"); slices.Contains(values, l.head(id)[key]) {
			out = append(out, id)
		}
	}
	return out
}

// head is what the head of a fault's file says.
func (l *faultLab) head(id string) map[string]string {
	b, err := os.ReadFile(filepath.Join(l.dir, "faults", id+".sh"))
	if err != nil {
		l.t.Fatal(err)
	}
	head := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if key, val, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "# "), ": "); ok && line[0] == '#' {
			head[key] = val
		}
	}
	return head
}

// flow is what a fault stops, from the head of its file; "" for what is no flow
// from a place on the lab's host.
func (l *faultLab) flow(id string) string {
	head := l.head(id)
	from := head["from"]
	if kind, name, ok := strings.Cut(from, ":"); ok && kind != "netns" {
		from = name
	}
	kind, to, _ := strings.Cut(head["to"], ":")
	switch {
	case from == "daemon" || kind == "name" && !strings.Contains(to, "/"):
		return ""
	case from == "lan":
		from = "192.168.50.20"
	}
	switch kind {
	case "published":
		to = "192.168.50.10:" + to
	case "localhost":
		to = "127.0.0.1:" + to
	}
	return from + " " + to
}

// script runs the lab's own program.
func (l *faultLab) script(t *testing.T, most time.Duration, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./lab.sh", args...)
	cmd.Dir = l.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("lab.sh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// brokenHost is the lab with one fault.
type brokenHost struct {
	*faultLab
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
	dir string

	told *regexp.Regexp // what names the fault
	flow string         // sender and destination that fail, as trace takes them; "" none
}

// begin sets the scene and brings the fault about.
func (l *faultLab) begin(t *testing.T, id string) *brokenHost {
	t.Helper()
	f := &brokenHost{faultLab: l, t: t, dir: t.TempDir(), flow: l.flow(id), told: regexp.MustCompile("(?i)" + l.head(id)["evidence"])}
	f.cmd = exec.CommandContext(t.Context(), "bash", "-c", `. ./lib.sh; prepare() { :; }; cleanup() { :; }; . "$1" || exit 9; echo READY
		while read -r s; do $s >/dev/null 2>&1 </dev/null; echo "RC $?"; done`, "fault", "faults/"+id+".sh")
	f.cmd.Dir = l.dir
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.out = bufio.NewReader(out)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := f.out.ReadString('\n'); err != nil || line != "READY\n" {
		t.Fatalf("fault %s: %q, %v", id, line, err)
	}
	if l.clean == nil {
		l.clean = f.dump("clean")
	}
	f.step("prepare")
	f.step("inject")
	for end := time.Now().Add(5 * time.Second); f.step("symptom") != "RC 0"; {
		if time.Now().After(end) {
			t.Error("its symptom does not show")
			break
		}
	}
	return f
}

// step runs one of the fault's functions.
func (f *brokenHost) step(name string) string {
	f.t.Helper()
	if _, err := io.WriteString(f.in, name+"\n"); err != nil {
		f.t.Fatal(err)
	}
	line, err := f.out.ReadString('\n')
	if err != nil {
		f.t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(line)
}

// end heals; a lab that is not as before is made anew.
func (f *brokenHost) end() {
	f.step("heal")
	f.step("cleanup")
	if err := f.in.Close(); err != nil {
		f.t.Error(err)
	}
	if err := f.cmd.Wait(); err != nil {
		f.t.Logf("the fault's shell: %v", err)
	}
	if now := f.dump("healed"); !slices.Equal(lines(now), lines(f.clean)) {
		f.faultLab.clean = nil
		f.script(f.t, 4*time.Minute, "reset")
	}
}

// dump is the lab's own dump of host and containers.
func (f *brokenHost) dump(name string) []byte {
	f.t.Helper()
	path := filepath.Join(f.faultLab.out, name+".txt")
	f.script(f.t, 4*time.Minute, "snapshot", path)
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// doctor runs netdoctor on the lab's host and reads its answer.
func (f *brokenHost) doctor(into any, args ...string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./lab.sh", append([]string{"exec", f.bin}, append(args, "-o", "json")...)...)
	cmd.Dir = f.faultLab.dir
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if len(out) == 0 {
		f.t.Fatalf("netdoctor %s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	if err := json.Unmarshal(out, into); err != nil {
		f.t.Fatalf("netdoctor %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// state has netdoctor write the host's state into a file.
func (f *brokenHost) state(name string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name+".ndsnap")
	f.script(f.t, 3*time.Minute, "exec", f.bin, "snapshot", "-o", path, "-q")
	return path
}

// compare plans, mends, compares, undoes and compares.
func (f *brokenHost) compare() (mended, same, back int) {
	broken, before := f.dump("broken"), f.state("before")
	var plan v1.FixPlan
	fix := []string{"fix"}
	f.doctor(&plan, "fix", "--dry-run")
	if !plan.Pending && f.flow != "" { // what a plain check need not expect
		fix = append(fix, "--flow", f.flow)
		f.doctor(&plan, append(fix, "--dry-run")...)
	}
	if !plan.Pending {
		f.t.Logf("nothing is planned: %v", plan.Advice)
		return 0, 0, 0
	}
	var res v1.FixResult
	f.doctor(&res, append(fix, "--yes")...)
	if !res.Applied {
		f.t.Errorf("not mended: %s", res.Error)
	}
	var real v1.DiffResult
	f.doctor(&real, "diff", before, f.state("after"))
	if f.step("symptom") != "RC 0" {
		mended = 1
	}
	want, got := differences(plan.Differences), differences(real.Changes)
	same = 1
	for _, d := range want {
		if !slices.ContainsFunc(got, func(g string) bool { return foretold(d, g) }) {
			same = 0
			f.t.Errorf("planned, and not seen: %s", d)
		}
	}
	for _, d := range got {
		if !slices.ContainsFunc(want, func(w string) bool { return foretold(w, d) }) {
			same = 0
			f.t.Errorf("not planned: %s", d)
		}
	}
	for _, id := range slices.Backward(res.Transactions) {
		var undone v1.UndoResult
		f.doctor(&undone, "undo", id)
		for _, l := range undone.Left {
			f.t.Errorf("undo left %s", l)
		}
	}
	back = 1
	for end := time.Now().Add(3 * time.Second); ; {
		now := f.dump("undone")
		if bytes.Equal(now, broken) {
			return mended, same, back
		}
		if time.Now().After(end) {
			f.t.Errorf("after undo:\n%s", changed(broken, now))
			return mended, same, 0
		}
	}
}

func differences(list []v1.Difference) []string {
	var out []string
	for _, d := range list {
		out = append(out, fmt.Sprintf("%s %s %s %s: %s", d.Sign, d.Netns, d.Noun, d.Name, d.Text))
	}
	return out
}

// foretold says whether a change is the one that was planned. A name that an engine is
// to choose is planned as "veth?" or "eth?".
func foretold(planned, seen string) bool {
	word := regexp.MustCompile(`(veth|eth)\\\?`).ReplaceAllString(regexp.QuoteMeta(planned), "${1}[0-9a-f]+")
	return regexp.MustCompile("^" + word + "$").MatchString(seen)
}

// lines are those of a dump, sorted, without what moves by itself.
func lines(b []byte) []string {
	out := slices.DeleteFunc(strings.Split(string(b), "\n"), func(l string) bool { return strings.Contains(l, "nf_conntrack_count") })
	slices.Sort(out)
	return out
}

// changed are the lines that only one of two dumps has; where there are none,
// their order differs.
func changed(a, b []byte) string {
	x, y := lines(a), lines(b)
	var out []string
	for _, l := range x {
		if !slices.Contains(y, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range y {
		if !slices.Contains(x, l) {
			out = append(out, "+ "+l)
		}
	}
	if len(out) > 0 {
		return strings.Join(out, "\n")
	}
	p, q := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(p), len(q)) {
		if p[i] != q[i] {
			out = append(out, "order: - "+p[i], "order: + "+q[i])
		}
	}
	return strings.Join(out, "\n")
}
