package app

import (
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// onHost takes the host off HOST/TARGET, where several hosts' snapshots were
// joined; "" when there is none.
func (f finder) onHost(text string) (host, rest string) {
	for _, h := range f.s.Hosts {
		if rest, ok := strings.CutPrefix(text, h+"/"); ok {
			return h, rest
		}
	}
	return "", ""
}

// withSuffix has the same behind each word.
func withSuffix(list []string, suffix string) []string {
	var out []string
	for _, w := range list {
		out = append(out, w+suffix)
	}
	return out
}

// joined finds a target of one of several hosts.
func (f finder) joined(host, text, rest string, dst bool) (Target, error) {
	sp, err := parse(rest, dst)
	if err != nil {
		return Target{}, err
	}
	t := Target{Text: text}
	switch {
	case sp.Scheme == "" && sp.Name == "internet", sp.Scheme == "net", sp.Scheme == "pid", sp.Addr.IsValid():
		return t, snap.Hint(Usagef("%q is nothing of %s alone", rest, host), "a container, a namespace or host of it: "+host+"/host")
	case sp.Scheme == "" && sp.Name == "localhost":
		sp.Name = kindHost
	}
	sp.Text, sp.Name = text, host+"/"+sp.Name
	t, err = f.lookup(sp)
	// A name is the sender's to resolve only where the sender's host knows it.
	t.Port, t.Bare = sp.Port, false
	if dst {
		t.Proto = sp.proto()
	}
	return t, err
}

// elsewhere says so when a packet for a container or namespace of one host ended
// in that of another, which has the same address: hosts' own bridges often do.
func elsewhere(s *snap.Snapshot, r *v1.TraceResult) {
	to := s.Ns(r.To.Netns)
	if len(r.Forward) == 0 || to == nil || to.Class == snap.ClassHost || r.Verdict != "delivered" && r.Verdict != "refused" {
		return
	}
	last := &r.Forward[len(r.Forward)-1]
	if last.Netns == to.ID {
		return
	}
	why := fmt.Sprintf("%s is the address of %s, too: the packet ends there, and %s is not reached by it", r.To.Address, last.Netns, to.ID)
	r.Verdict, r.Predicted = "dropped", &v1.Said{Verdict: "dropped", Detail: why}
	r.Where = &v1.Where{Netns: last.Netns, Device: last.Device, Layer: "socket", Detail: why}
}
