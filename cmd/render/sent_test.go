package render

import (
	"strings"
	"testing"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func TestSentTwice(t *testing.T) {
	var b strings.Builder
	p := newPrinter(&b, Style{})
	p.sent([]v1.Sent{
		{Kind: "dns", From: "web", Dst: "127.0.0.11:53", Question: "db. A", Outcome: "answered"},
		{Kind: "tcp", From: "web", Dst: "192.0.2.1:80", Outcome: "answered"},
		{Kind: "dns", From: "web", Dst: "127.0.0.11:53", Question: "db. A", Outcome: "answered"},
		{Kind: "dns", From: "web", Dst: "127.0.0.11:53", Question: "db. A", Outcome: "timeout"},
	})
	if err := p.w.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for l := range strings.Lines(b.String()) {
		if f := strings.Fields(l); len(f) > 0 {
			got = append(got, strings.Join(f, " "))
		}
	}
	want := []string{
		"sent from to outcome detail",
		"dns ×2 web 127.0.0.11:53 db. A answered",
		"tcp web 192.0.2.1:80 answered",
		"dns web 127.0.0.11:53 db. A timeout",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
