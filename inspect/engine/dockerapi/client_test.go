package dockerapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// daemon serves on a unix socket what the handler answers, and gives a client for it.
func daemon(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l) // it ends with the test
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c := New("unix", path, nil)
	t.Cleanup(c.Close)
	return c
}

func TestVersionIsAgreedUpon(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says, want string
		noHead           bool
	}{
		{"an older daemon's own", "1.40", "1.40", false},
		{"the newest that is known", "1.99", "1.56", false},
		{"one that lets no HEAD through", "1.43", "1.43", true},
		{"one that says nothing", "", "1.41", false},
		{"one that says nonsense", "2.x", "1.41", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.noHead && r.Method == http.MethodHead {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				if tt.says != "" {
					w.Header().Set("Api-Version", tt.says)
				}
			})
			if err := c.Hello(t.Context()); err != nil || c.Version() != tt.want {
				t.Errorf("%s, %v; want %s", c.Version(), err, tt.want)
			}
		})
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	var got []string
	c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Header.Get("Content-Type")+" "+string(b)))
		switch r.URL.Path {
		case "/v1.41/containers/a/start":
			w.WriteHeader(http.StatusNotModified)
		case "/v1.41/containers/gone/start":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message": "No such container: gone"}`)
		case "/v1.41/containers/bad/start":
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"message": "it is paused"}`)
		}
	})
	order := func(path string, q url.Values, v any) error { return c.Order(t.Context(), path, q, v) }
	if err := order("/networks/n/connect", nil, map[string]string{"Container": "a"}); err != nil {
		t.Error(err)
	}
	if err := order("/containers/a/stop", url.Values{"t": {"5"}}, nil); err != nil {
		t.Error(err)
	}
	if err := order("/containers/a/start", nil, nil); err != nil {
		t.Errorf("it runs already: %v", err)
	}
	if err := order("/containers/gone/start", nil, nil); !errors.Is(err, snap.ErrNotFound) || !strings.Contains(err.Error(), "No such container") {
		t.Errorf("one that is gone: %v", err)
	}
	if err := order("/containers/bad/start", nil, nil); err == nil || !strings.Contains(err.Error(), "it is paused") {
		t.Errorf("one that can't be started: %v", err)
	}
	want := `POST /v1.41/networks/n/connect application/json {"Container":"a"}
POST /v1.41/containers/a/stop?t=5
POST /v1.41/containers/a/start
POST /v1.41/containers/gone/start
POST /v1.41/containers/bad/start`
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("sent\n%s\nwant\n%s", g, want)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d.sock")
	if err := New("unix", path, nil).Hello(t.Context()); !errors.Is(err, snap.ErrNotFound) || errors.Is(err, ErrRefused) {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := New("unix", path, nil).Hello(t.Context()); !errors.Is(err, ErrRefused) {
		t.Errorf("a dead socket: %v", err)
	}
}
