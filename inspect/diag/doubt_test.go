package diag

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/names"
)

func TestCutOff(t *testing.T) {
	t.Parallel()
	server := func(role string, ok bool) names.Server {
		return names.Server{Role: role, Reach: names.Reach{OK: ok}}
	}
	for _, c := range []struct {
		name    string
		servers []names.Server
		want    bool
	}{
		{"nobody else is asked", []names.Server{server("embedded", true)}, false},
		{"one of the others is reached", []names.Server{server("embedded", true), server("upstream", false), server("upstream", true)}, false},
		{"none of them is", []names.Server{server("embedded", true), server("upstream", false), server("upstream", false)}, true},
		{"nothing is asked", nil, false},
	} {
		if got := cutOff(c.servers); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}
