package app

import (
	"errors"
	"strings"
	"testing"
)

func TestNameOf(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for _, tt := range []struct{ in, want string }{
		{"web", "web"},
		{"web.", "web."},
		{".", "."},
		{"_http._tcp.web", "_http._tcp.web"},
		{"WEB.app", "WEB.app"},
		{label + ".x", label + ".x"},
		{"172.20.0.1", "172.20.0.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"m\u00fcnchen.example", "xn--mnchen-3ya.example"},
		{"B\u00dcCHER.example.", "xn--bcher-kva.example."},
		{"\u0378.example", ""}, // not assigned
		{"", ""},
		{"a b", ""},
		{"a\x1b[31mb", ""},
		{"a\x00", ""},
		{"a/b", ""},
		{"db:5432", ""},
		{"http://db/", ""},
		{"web..app", ""},
		{".web", ""},
		{"..", ""},
		{label + "a.x", ""},
		{strings.Repeat("a.", 127) + "a", ""},
		{"\xff\xfe", ""},
	} {
		got, err := nameOf(tt.in)
		if got != tt.want || (err != nil) != (tt.want == "") || err != nil && !errors.Is(err, ErrUsage) {
			t.Errorf("%q: got %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestServerOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "2001:db8::53": "[2001:db8::53]:53", "[2001:db8::53]": "[2001:db8::53]:53",
		"[2001:db8::53]:5353": "[2001:db8::53]:5353", "dns.example": "", "192.0.2.53:99999": "",
	} {
		got, err := serverOf(in)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("%q: got %s, %v; want %s", in, got, err, want)
		}
	}
}
