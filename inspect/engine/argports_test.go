package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArgPorts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want []uint16
	}{
		{"an argument of its own", []string{"/bin/busybox", "httpd", "-f", "-p", "9090", "-h", "/www"}, []uint16{9090}},
		{"behind an address or a flag", []string{"prog", "--listen=0.0.0.0:8080", "--port=81", "http://:82/x"}, []uint16{8080, 81, 82}},
		{"inside a shell's text, once", []string{"sh", "-c", "serve :9090 || serve 9090"}, []uint16{9090}},
		{"no port", []string{"prog", "10.0.0.1", "v70000", "70000", "0", "-n5"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(c.want, argPorts(c.args)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
