package rules

import (
	"compress/gzip"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

var update = flag.Bool("update", false, "write what the kernel counted to testdata")

// tally is what each rule counted of one sample.
type tally struct {
	Sample  string
	Pkt     Packet
	Counted []int64
}

// record is a comparison with the kernel, kept so that it can be repeated
// without one.
type record struct {
	Name, Table, Chain string
	Now                time.Time
	Texts              []string
	Rules              snap.Ruleset
	IPSets             []snap.IPSet
	Tallies            []tally
}

// check compares what was counted with what the evaluator says.
func (rec *record) check(t *testing.T, env *fakeEnv) {
	t.Helper()
	env.now, env.ipsets = rec.Now, rec.IPSets
	var base *BaseChain
	for _, b := range Compile(&rec.Rules).bases {
		if b.Table.Name == rec.Table && b.Chain.Name == rec.Chain {
			base = b
		}
	}
	if base == nil {
		t.Fatalf("no chain %s in table %s", rec.Chain, rec.Table)
	}
	unknown, total := 0, 0
	for _, y := range rec.Tallies {
		got := count(base.Run(y.Pkt, env), len(rec.Texts))
		for i, text := range rec.Texts {
			total++
			switch {
			case got[i] == 2:
				unknown++
				t.Logf("unknown: %s: %s", y.Sample, text)
			case got[i] != y.Counted[i]:
				t.Errorf("%s: %s: the kernel counted %d, the evaluator says %d", y.Sample, text, y.Counted[i], got[i])
			}
		}
	}
	t.Logf("%s: %d of %d unknown", rec.Name, unknown, total)
	if unknown*10 > total {
		t.Errorf("%s: %d of %d unknown, more than a tenth", rec.Name, unknown, total)
	}
}

// count tells what the evaluator says of each rule: 0 no, 1 matched, 2 unknown.
func count(branches []Branch, n int) []int64 {
	seen := make([]int, n)
	vague := make([]bool, n)
	for _, b := range branches {
		for _, p := range b.Path {
			if p.Num == 0 {
				continue
			}
			seen[p.Num-1]++
			vague[p.Num-1] = vague[p.Num-1] || p.Maybe
		}
	}
	out := make([]int64, n)
	for i := range out {
		switch {
		case vague[i] || seen[i] > 0 && seen[i] < len(branches):
			out[i] = 2
		case seen[i] > 0:
			out[i] = 1
		}
	}
	return out
}

// save writes the record to testdata with -update.
func (rec *record) save(t *testing.T) {
	t.Helper()
	if !*update {
		return
	}
	for i := range rec.Rules.Tables {
		for j := range rec.Rules.Tables[i].Chains {
			for k := range rec.Rules.Tables[i].Chains[j].Rules {
				r := &rec.Rules.Tables[i].Chains[j].Rules[k]
				r.Raw, r.UserData = nil, nil
			}
		}
	}
	f, err := os.Create(filepath.Join("testdata", "kernel-"+rec.Name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	enc := json.NewEncoder(z)
	enc.SetIndent("", " ")
	for _, err := range []error{enc.Encode(rec), z.Close(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func loadRecord(t *testing.T, path string) *record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{}
	if err := json.NewDecoder(z).Decode(rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestRecordedKernel repeats the comparisons with a real kernel that are
// recorded in testdata: rules that only count, packets, and which rules
// counted them.
func TestRecordedKernel(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "kernel-*.json.gz"))
	if err != nil || len(files) == 0 {
		t.Fatal("no records in testdata", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".json.gz"), func(t *testing.T) {
			t.Parallel()
			loadRecord(t, f).check(t, benchEnv())
		})
	}
}

// benchEnv is the namespace that the records were made in: va 10 at
// 192.0.2.1/24 and 2001:db8::1/64, d0 12 at 203.0.113.1/24 and
// 2001:db8:1::1/64.
func benchEnv() *fakeEnv {
	return &fakeEnv{
		links: []snap.Link{
			{Index: 1, Name: "lo", Kind: "loopback", Loopback: true, MTU: 65536},
			{Index: 10, Name: "va", Kind: "veth", MAC: macA, MTU: 1500, Group: 3},
			{Index: 11, Name: "vb", Kind: "veth", MAC: macB, MTU: 1500},
			{Index: 20, Name: "br0", Kind: "bridge", MAC: "02:00:00:00:00:20", MTU: 1500, Bridge: &snap.Bridge{}},
			{Index: 21, Name: "p1", Kind: "veth", MAC: "02:00:00:00:00:21", MTU: 1500, Master: 20, Port: &snap.BridgePort{State: 3}},
			{Index: 22, Name: "p2", Kind: "veth", MAC: "02:00:00:00:00:22", MTU: 1500, Master: 20, Port: &snap.BridgePort{State: 3}},
			{Index: 12, Name: "d0", Kind: "veth", MAC: "02:00:00:00:00:0d", MTU: 1500, Group: 5},
		},
		types: map[string]string{
			"192.0.2.1": "local", "203.0.113.1": "local", "203.0.113.1%va": "unicast", "192.0.2.1%d0": "unicast",
			"2001:db8::1": "local", "2001:db8:1::1": "local", "2001:db8:1::1%va": "unicast",
			"192.0.2.255": "broadcast", "224.0.0.251": "multicast", "255.255.255.255": "broadcast",
		},
		fib:    benchFIB,
		socket: func(*Packet, bool) (bool, bool) { return false, true },
	}
}

// benchFIB has the longest prefixes first.
func benchFIB(q FIBQuery) (int, string, bool) {
	for _, r := range []struct {
		prefix string
		oif    int
		typ    string
	}{
		{"192.0.2.1/32", 1, "local"},
		{"203.0.113.1/32", 1, "local"},
		{"2001:db8::1/128", 1, "local"},
		{"2001:db8:1::1/128", 1, "local"},
		{"192.0.2.0/24", 10, "unicast"},
		{"203.0.113.0/24", 12, "unicast"},
		{"2001:db8::/64", 10, "unicast"},
		{"2001:db8:1::/64", 12, "unicast"},
	} {
		if netip.MustParsePrefix(r.prefix).Contains(q.Dst) {
			return r.oif, r.typ, true
		}
	}
	return 0, "", false
}

// Hardware addresses of the veth pair that frames come in by.
const (
	macA = "02:00:00:00:00:0a"
	macB = "02:00:00:00:00:0b"
)
