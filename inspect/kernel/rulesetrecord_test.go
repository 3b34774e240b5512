package kernel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// With ND_RECORD=DIR the text tests write what they read to DIR, from where
// inspect/firewall's offline tests and fuzzers take it:
//
//	ND_RECORD=$PWD/inspect/firewall/testdata go test ./inspect/kernel -run 'Text'

// recordedTable is a table with its rules as the kernel sent them and their text.
type recordedTable struct {
	System snap.System    `json:"system"`
	Family snap.Family    `json:"family"`
	Name   string         `json:"name"`
	Sets   []snap.Set     `json:"sets,omitempty"`
	Inline []snap.Chain   `json:"inline,omitempty"` // anonymous chains
	Rules  []recordedRule `json:"rules"`
}

type recordedRule struct {
	Chain    string `json:"chain"`
	Raw      []byte `json:"raw"`
	UserData []byte `json:"userData,omitempty"`
	Text     string `json:"text"`
}

// recordedBlob is a table of iptables-legacy as the kernel gave it.
type recordedBlob struct {
	V6      bool     `json:"v6"`
	Info    []byte   `json:"info"`
	Entries []byte   `json:"entries"`
	Text    []string `json:"text"` // of all rules, in order
}

func recordFile(t *testing.T, name string, v any) {
	t.Helper()
	dir := os.Getenv("ND_RECORD")
	if dir == "" {
		return
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recordTables records the tables of one system and family, "" all.
func recordTables(t *testing.T, name string, ns *snap.Netns, rs snap.Ruleset, sys snap.System, f snap.Family) {
	t.Helper()
	var list []recordedTable
	for i := range rs.Tables {
		tb := &rs.Tables[i]
		if tb.System != sys || f != "" && tb.Family != f {
			continue
		}
		out := recordedTable{System: tb.System, Family: tb.Family, Name: tb.Name, Sets: tb.Sets}
		for j := range tb.Chains {
			c := &tb.Chains[j]
			if len(c.Name) > 7 && c.Name[:7] == "__chain" {
				out.Inline = append(out.Inline, *c)
				continue
			}
			for k := range c.Rules {
				r := &c.Rules[k]
				out.Rules = append(out.Rules, recordedRule{c.Name, r.Raw, r.UserData, firewall.RuleText(ns, tb, c, r)})
			}
		}
		list = append(list, out)
	}
	recordFile(t, name, list)
}

// recordLegacy records the blobs of iptables-legacy.
func recordLegacy(t *testing.T, name string, rs snap.Ruleset, f snap.Family) {
	t.Helper()
	var list []recordedBlob
	for i := range rs.Tables {
		tb := &rs.Tables[i]
		if tb.System != snap.IPTablesLegacy || tb.Family != f {
			continue
		}
		out := recordedBlob{V6: f == snap.IPv6}
		family, level := unix.AF_INET, unix.SOL_IP
		if out.V6 {
			family, level = unix.AF_INET6, unix.SOL_IPV6
		}
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		out.Info, out.Entries, err = legacyBytes(fd, level, tb.Name)
		_ = unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		for j := range tb.Chains {
			for k := range tb.Chains[j].Rules {
				out.Text = append(out.Text, firewall.RuleText(nil, tb, &tb.Chains[j], &tb.Chains[j].Rules[k]))
			}
		}
		list = append(list, out)
	}
	recordFile(t, name, list)
}
