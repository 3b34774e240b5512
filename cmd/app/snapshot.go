package app

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SnapshotOptions are those of snapshot.
type SnapshotOptions struct {
	Common
	File  string // where to; "-" is Out
	Full  bool   // nothing is replaced by pseudonyms
	Force bool   // an existing file is replaced
	Out   io.Writer
}

// Snapshot writes the state of the host, with the answers of live probes unless
// they are forbidden, into a file that every reading command takes.
func (a *App) Snapshot(ctx context.Context, o SnapshotOptions) (*v1.SnapshotResult, error) {
	start := a.now()
	if o.File == "" {
		return nil, snap.Hint(Usagef("no file to write to"), "netdoctor snapshot -o host.ndsnap, or -o - for stdout")
	}
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	ex, err := a.examine(ctx, s, nil, diag.Options{}, o.Common)
	if err != nil {
		return nil, err
	}
	s = ex.in.Snap
	if !o.Full && a.Redact != nil {
		s = a.Redact(s)
	}
	var size int64
	if o.File == "-" {
		err = a.Save(o.Out, s)
	} else {
		size, err = a.Write(o.File, s, o.Force)
	}
	if err != nil {
		return nil, err
	}
	res := &v1.SnapshotResult{File: o.File, Bytes: size, Redacted: s.Redacted}
	rules, conns := 0, 0
	for i := range s.Netns {
		conns += len(s.Netns[i].Conntrack)
		for _, t := range s.Netns[i].Ruleset.Tables {
			for j := range t.Chains {
				rules += len(t.Chains[j].Rules)
			}
		}
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"namespaces", len(s.Netns)},
		{"containers", len(s.Containers)},
		{"networks", len(s.Networks)},
		{"firewall rules", rules},
		{"tracked connections", conns},
		{"resolvers", len(s.Resolvers)},
		{"probes", len(s.Probes)},
		{"gaps", len(s.Gaps)},
	} {
		res.Contents = append(res.Contents, v1.Fact{Name: f.name, Value: fmt.Sprint(f.n)})
	}
	res.Coverage.Skipped = gaps(s)
	res.Head = a.head(v1.KindSnapshot, start)
	return res, nil
}
