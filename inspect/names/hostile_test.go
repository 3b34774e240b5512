package names

import (
	"fmt"
	"strings"
	"testing"
)

// resolv.h's MAXNS holds however many servers are written.
func TestAThousandServers(t *testing.T) {
	t.Parallel()
	s := lab()
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf("198.51.%d.%d", i/250, i%250+1))
	}
	resolver(s, "plain").ResolvConf = conf(all...)
	p := Resolve(ask(s, "plain", "www.example.org"))
	if len(p.Servers) != maxServers || len(Questions(p)) != maxServers {
		t.Errorf("%d servers, %d questions, want %d", len(p.Servers), len(Questions(p)), maxServers)
	}
}

// Names that lead to each other and never to an address are no address; nothing
// here goes after them.
func TestARingOfCNAMEs(t *testing.T) {
	t.Parallel()
	s := lab()
	asked(s, "plain", "198.51.100.53", "www.example.org", "NOERROR")
	s.Probes[0].DNS.Answers = []string{"CNAME a.example.org.", "CNAME b.example.org.", "CNAME a.example.org."}
	in := ask(s, "plain", "www.example.org")
	in.Reach = healthy
	if p := Resolve(in); p.Verdict != NoData || len(p.Answers) != 0 {
		t.Errorf("%s %v", p.Verdict, p.Answers)
	}
}

// A search list of the longest names makes no more questions than the bound.
func TestALongSearchListIsBounded(t *testing.T) {
	t.Parallel()
	s := lab()
	rc := &resolver(s, "plain").ResolvConf
	*rc = conf("198.51.100.53", "198.51.100.54", "198.51.100.55")
	rc.Ndots = 15
	for i := range 100 {
		rc.Search = append(rc.Search, fmt.Sprintf("d%d.%s", i, strings.Repeat("x.", 100)+"example"))
	}
	p := Resolve(ask(s, "plain", "www"))
	if n := len(Questions(p)); n > maxQuestions+maxControls {
		t.Errorf("%d questions", n)
	}
}
