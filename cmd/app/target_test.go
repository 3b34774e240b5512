package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// shown is a target in a line, for tables.
func shown(t Target) string {
	out := t.Kind + " " + t.qualified()
	if t.Port != 0 {
		out += " " + string(rune('0'+t.Port%10)) + "@" + string(t.Proto)
	} else if t.Proto != "" {
		out += " " + string(t.Proto)
	}
	return out
}

func TestTargets(t *testing.T) {
	t.Parallel()
	f := finder{fixture()}
	for _, c := range []struct{ text, want, err string }{
		{"web", "container docker:web", ""},
		{"docker:web", "container docker:web", ""},
		{"container:web", "container docker:web", ""},
		{"podman:web", "", `no podman container is called "web" here`},
		{"c1", "container docker:web", ""},
		{"docker:c2", "container docker:db", ""},
		{"twin", "", `"twin" is ambiguous: docker:twin, podman:twin`},
		{"beef", "", `"beef" is ambiguous: docker:twin, podman:twin`},
		{"podman:twin", "container podman:twin", ""},
		{"host", "host host", ""},
		{"localhost", "host host", ""},
		{"internet", "internet internet", ""},
		{"net:app", "network net:app", ""},
		{"net:ab", "", `"net:ab" is ambiguous: net:docker:app, net:docker:other`},
		{"net:docker:app", "network net:app", ""},
		{"net:none", "", `no network is called "none" here`},
		{"netns:lab-blue", "netns netns:lab-blue", ""},
		{"netns:blue", "netns netns:lab-blue", ""},
		{"netns:lab-g", "netns netns:lab-green", ""},
		{"netns:lab", "", `"netns:lab" is ambiguous: netns:lab-blue, netns:lab-green`},
		{"netns:/run/netns/lab-blue", "netns netns:lab-blue", ""},
		{"netns:host", "host host", ""},
		{"netns:nowhere", "", `no network namespace is called "nowhere" here`},
		{"lab-blue", "netns netns:lab-blue", ""},
		{"pid:1002", "container docker:web", ""},
		{"netns:/proc/1002/ns/net", "container docker:web", ""},
		{"netns:/proc/1/ns/net", "", "process 1 is in none of the namespaces that were read"},
		{"pid:1", "", "process 1 is in none of the namespaces that were read"},
		{"pid:x", "", `"pid:x": "x" is no process id`},
		{"203.0.113.7", "address 203.0.113.7", ""},
		{"2001:db8::1", "address 2001:db8::1", ""},
		{"", "", `"" is no target`},
		{"wbe", "", `no target is called "wbe" here`},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			got, err := f.any(c.text)
			check(t, c.want, c.err, got, err)
		})
	}
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	f := finder{fixture()}
	for _, c := range []struct{ text, want, err string }{
		{"web:80", "container docker:web 0@tcp", ""},
		{"db:5432/tcp", "container docker:db 2@tcp", ""},
		{"docker:web:53/udp", "container docker:web 3@udp", ""},
		{"web", "container docker:web icmp", ""},
		{"web/icmp", "container docker:web icmp", ""},
		{"host/icmp", "host host icmp", ""},
		{"host:9000", "host host 0@tcp", ""},
		{"netns:blue:81", "netns netns:lab-blue 1@tcp", ""},
		{"netns:/run/netns/lab-blue:81/sctp", "netns netns:lab-blue 1@sctp", ""},
		{"pid:1002:80", "container docker:web 0@tcp", ""},
		{"10.0.0.5:53/udp", "address 10.0.0.5 3@udp", ""},
		{"10.0.0.5", "address 10.0.0.5 icmp", ""},
		{"[2001:db8::1]:80", "address 2001:db8::1 0@tcp", ""},
		{"[2001:db8::1]", "address 2001:db8::1 icmp", ""},
		{"2001:db8::1/icmp", "address 2001:db8::1 icmp", ""},
		{"localhost:8080", "name localhost 0@tcp", ""},
		{"127.0.0.1:8080", "address 127.0.0.1 0@tcp", ""},
		{"example.org:443", "name example.org 3@tcp", ""},
		{"example.org", "name example.org icmp", ""},
		{"internet", "internet internet icmp", ""},
		{"internet:443", "internet internet 3@tcp", ""},
		{"net:app", "network net:app icmp", ""},
		{"web:0", "", `"web:0": "0" is no port`},
		{"web:99999", "", `"web:99999": "99999" is no port`},
		{"web:smoke", "", `"web:smoke": "smoke" is no port`},
		{"web:http", "container docker:web 0@tcp", ""},
		{"docker:web:domain/udp", "container docker:web 3@udp", ""},
		{"http://web/", "container docker:web 0@tcp", ""},
		{"https://example.org:8443/a?b#c", "name example.org 3@tcp", ""},
		{"postgres://me:secret@web/shop", "container docker:web 2@tcp", ""},
		{"http://[2001:db8::1]/", "address 2001:db8::1 0@tcp", ""},
		{"udp://10.0.0.5:53", "address 10.0.0.5 3@udp", ""},
		{"gopher://web", "", `"gopher://web": which port gopher is for is not known`},
		{"web/tcp", "", `"web/tcp": tcp needs a port`},
		{"web:80/icmp", "", `"web:80/icmp": ICMP has no ports`},
		{"web:80/quic", "", `"web:80/quic": protocol "quic" is not known`},
		{"twin:80", "", `"twin:80" is ambiguous: docker:twin, podman:twin`},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			got, err := f.dest(c.text)
			check(t, c.want, c.err, got, err)
		})
	}
}

func check(t *testing.T, want, wantErr string, got Target, err error) {
	t.Helper()
	if wantErr != "" {
		if err == nil || !strings.HasPrefix(err.Error(), wantErr) {
			t.Errorf("error: want %q, got %v", wantErr, err)
		}
		if !errors.Is(err, ErrUsage) {
			t.Errorf("%v is no ErrUsage", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, shown(got)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	f := finder{fixture()}
	for text, want := range map[string]string{
		"crashy":   "docker:crashy is exited: it has no network namespace to send from",
		"net:app":  "net:app sends nothing by itself",
		"internet": "internet sends nothing by itself",
	} {
		_, err := f.source(text)
		if err == nil || err.Error() != want {
			t.Errorf("%s: want %q, got %v", text, want, err)
		}
	}
	if _, err := f.source("crashy"); snap.HintOf(err) != "docker start crashy" {
		t.Errorf("hint: %q", snap.HintOf(err))
	}
	got, err := f.source("netns:blue")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"netns:blue is taken for netns:lab-blue"}, got.Notes); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"web", "db", "client", "net:app", "netns:lab-blue", "database"}
	for text, want := range map[string][]string{
		"wbe":       {"web"},
		"clinet":    {"client"},
		"net:ap":    {"net:app"},
		"data":      {"database"},
		"unrelated": nil,
	} {
		if d := cmp.Diff(want, suggest(text, known)); d != "" {
			t.Errorf("%s (-want +got)\n%s", text, d)
		}
	}
}

// TestServices: where compose gave the containers their names, people write the
// service's.
func TestServices(t *testing.T) {
	t.Parallel()
	s, err := inspect.ReadFile("../cli/testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Name == "client" || c.Name == "plain" || c.Name == "plain2" {
			c.Service = "worker"
		} else {
			c.Service = "the-" + c.Name
		}
		c.Name = "shop-" + c.Name + "-1"
		c.Ref = "docker:" + c.Name
	}
	s.Container("docker:shop-plain2-1").State = "exited"
	a := &App{Read: func(context.Context, ReadOptions) (*snap.Snapshot, error) { return s, nil }}
	res, err := a.Trace(t.Context(), TraceOptions{From: "the-web", To: "172.30.1.13:5432", Common: Common{NoProbe: true}})
	if err != nil || res.Verdict != "delivered" || res.From.Container != "docker:shop-web-1" {
		t.Fatalf("%v: %+v", err, res)
	}
	f := finder{s}
	_, err = f.source("worker")
	if want := `"worker" is ambiguous: docker:shop-client-1, docker:shop-plain-1`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	// The sender resolves it.
	if to, err := f.dest("worker:80"); err != nil || to.Kind != kindName || to.Name != "worker" {
		t.Errorf("%+v, %v", to, err)
	}
	s.Container("docker:shop-plain-1").State = "exited"
	if from, err := f.source("worker"); err != nil || from.Container.Name != "shop-client-1" {
		t.Errorf("%+v, %v", from, err)
	}
	// A name goes before a service.
	s.Container("docker:shop-db-1").Name = "the-web"
	if from, err := f.source("the-web"); err != nil || from.Container.Service != "the-db" {
		t.Errorf("%+v, %v", from, err)
	}
}
