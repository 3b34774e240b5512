package firewall

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The fixtures in testdata were written by inspect/kernel's text tests from a
// Linux 6.18 kernel; their texts are those of nft 1.0.6 and iptables 1.8.9.

type recordedTable struct {
	System snap.System    `json:"system"`
	Family snap.Family    `json:"family"`
	Name   string         `json:"name"`
	Sets   []snap.Set     `json:"sets"`
	Inline []snap.Chain   `json:"inline"`
	Rules  []recordedRule `json:"rules"`
}

type recordedRule struct {
	Chain    string `json:"chain"`
	Raw      []byte `json:"raw"`
	UserData []byte `json:"userData"`
	Text     string `json:"text"`
}

type recordedBlob struct {
	V6      bool     `json:"v6"`
	Info    []byte   `json:"info"`
	Entries []byte   `json:"entries"`
	Text    []string `json:"text"`
}

func load[T any](t testing.TB, file string) T {
	t.Helper()
	var v T
	b, err := os.ReadFile("testdata/" + file + ".json")
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func nftFixtures() []string {
	return []string{"nft", "iptables-nft", "ip6tables-nft", "ebtables-nft"}
}

func legacyFixtures() []string { return []string{"iptables-legacy", "ip6tables-legacy"} }

// host has the one device that the fixtures name by number.
func host() *snap.Netns { return &snap.Netns{Links: []snap.Link{{Index: 1, Name: "lo"}}} }

func TestRecordedExpressionsDecodeToTheTextOfTheirTool(t *testing.T) {
	t.Parallel()
	for _, file := range nftFixtures() {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			for _, in := range load[[]recordedTable](t, file) {
				tb := snap.Table{System: in.System, Family: in.Family, Name: in.Name, Sets: in.Sets, Chains: in.Inline}
				for _, r := range in.Rules {
					x, err := decodeExprs(r.Raw)
					if err != nil {
						t.Errorf("%s: %v", r.Text, err)
						continue
					}
					rule := snap.Rule{Exprs: x, UserData: r.UserData}
					rule.Comment = comment(&rule)
					if diff := cmp.Diff(r.Text, RuleText(host(), &tb, &snap.Chain{Name: r.Chain}, &rule)); diff != "" {
						t.Errorf("%s %s (-want +got):\n%s", in.Name, r.Chain, diff)
					}
				}
			}
		})
	}
}

func TestRecordedLegacyTablesDecodeToTheTextOfTheirTool(t *testing.T) {
	t.Parallel()
	for _, file := range legacyFixtures() {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			for _, in := range load[[]recordedBlob](t, file) {
				info, err := DecodeLegacyInfo(in.Info)
				if err != nil {
					t.Fatal(err)
				}
				tb, err := DecodeLegacy(in.V6, info, in.Entries)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for i := range tb.Chains {
					for j := range tb.Chains[i].Rules {
						got = append(got, RuleText(nil, &tb, &tb.Chains[i], &tb.Chains[i].Rules[j]))
					}
				}
				if diff := cmp.Diff(in.Text, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", info.Name, diff)
				}
			}
		})
	}
}

// eachRecorded calls f for every recorded expression; v6 says that its table is.
func eachRecorded(t testing.TB, f func(e snap.Expr, v6 bool)) {
	t.Helper()
	for _, file := range nftFixtures() {
		for _, in := range load[[]recordedTable](t, file) {
			for _, r := range in.Rules {
				x, err := decodeExprs(r.Raw)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range x {
					f(e, in.Family == snap.IPv6)
				}
			}
		}
	}
	for _, file := range legacyFixtures() {
		for _, in := range load[[]recordedBlob](t, file) {
			info, _ := DecodeLegacyInfo(in.Info)
			tb, err := DecodeLegacy(in.V6, info, in.Entries)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range tb.Chains {
				for _, r := range c.Rules {
					for _, e := range r.Exprs {
						f(e, in.V6)
					}
				}
			}
		}
	}
}

func TestNothingRecordedIsUnknown(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	eachRecorded(t, func(e snap.Expr, v6 bool) {
		kinds[e.Kind()]++
		switch e := e.(type) {
		case *snap.Unknown: // osf and ipsec have words but no type
			if x, _ := opaqueTerm(e); x == nil {
				t.Errorf("unknown expression %s %x", e.Name, e.Raw)
			}
		case *snap.Xt:
			if _, err := DecodeXt(e, v6); err != nil {
				t.Error(err)
			}
		}
	})
	for _, kind := range []string{
		"immediate", "payload", "meta", "cmp", "range", "bitwise", "byteorder", "lookup", "dynset", "ct", "fib", "exthdr", "rt", "nat",
		"masq", "redir", "tproxy", "reject", "counter", "log", "limit", "quota", "connlimit", "numgen", "hash", "objref",
		"dup", "fwd", "notrack", "synproxy", "socket", "xt", "xtentry",
	} {
		if kinds[kind] == 0 {
			t.Errorf("no fixture has %s", kind)
		}
	}
}

func TestExpressionsSurviveJSON(t *testing.T) {
	t.Parallel()
	for _, file := range nftFixtures() {
		for _, in := range load[[]recordedTable](t, file) {
			for _, r := range in.Rules {
				want, err := decodeExprs(r.Raw)
				if err != nil {
					t.Fatal(err)
				}
				b, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				var got snap.Exprs
				if err := json.Unmarshal(b, &got); err != nil {
					t.Fatalf("%s: %v", r.Text, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", r.Text, diff)
				}
			}
		}
	}
}
