// Package dockerapi speaks HTTP to one Docker daemon, or to one that speaks like it
// (Podman's service): the API's version is agreed upon, questions are asked and
// orders given. Every answer is bounded, and no redirect is followed.
//
// It stands in for github.com/moby/moby/client, which brings OpenTelemetry along
// (docs/adr/0005-own-docker-client.md); what is sent is in that module's own types.
package dockerapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// MaxAnswer bounds one answer in bytes: 10,000 containers in the list have about
// 20 MB.
const MaxAnswer = 64 << 20

// The versions of the API that are known: 20.10 speaks 1.41, 29 1.52, moby's main branch 1.56. A daemon that
// speaks no more than older ones is asked in its own version.
const (
	maxMinor     = 56
	defaultMinor = 41
)

// ErrRefused says that a socket is there, and nobody listens on it.
var ErrRefused = fmt.Errorf("nobody listens: %w", snap.ErrNotFound)

var errRedirect = errors.New("the engine answered with a redirect")

// Client speaks to one daemon. It may be used by several goroutines after Hello.
type Client struct {
	http  *http.Client
	base  string // scheme and host of requests
	minor int    // of the API's version, 1.minor
	peer  int
	dial  func(ctx context.Context) (net.Conn, error)
}

// New prepares a client for a daemon at network "unix" or "tcp"; nothing is sent yet.
// conf is for TLS; nil: none.
func New(network, addr string, conf *tls.Config) *Client {
	var d net.Dialer //nolint:forbidigo // dials what Docker's clients dial, in the caller's namespace
	c := &Client{base: "http://docker", minor: defaultMinor, dial: func(ctx context.Context) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}}
	if network != "unix" {
		c.base = "http://" + addr
	}
	if conf != nil {
		c.base = "https://" + addr
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			DisableCompression: true, // a small answer must not become a huge one
			MaxIdleConns:       8, MaxIdleConnsPerHost: 8, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: conf,
			DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}
	return c
}

// Only keeps the client to a unix socket at which a process listens: nothing is sent to
// another. It goes before Hello.
func (c *Client) Only(pid int) {
	dial := c.dial
	c.dial = func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		if got := peerPID(conn); got != pid {
			_ = conn.Close() // nothing was written
			return nil, fmt.Errorf("process %d listens there, not %d: %w", got, pid, snap.ErrUnsupported)
		}
		return conn, nil
	}
}

// Close lets the connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version is the API's, "1.41"; what Hello agreed upon.
func (c *Client) Version() string { return "1." + strconv.Itoa(c.minor) }

// Peer is the pid that made the unix socket listen; 0 unknown. Set by Hello.
func (c *Client) Peer() int { return c.peer }

// Hello connects and agrees on a version: the daemon's, or the newest that is known
// (moby: client/ping.go, the header Api-Version of /_ping). Errors are of Kind.
func (c *Client) Hello(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return Kind(err)
	}
	c.peer = peerPID(conn)
	_ = conn.Close() // nothing was written
	h, _, err := c.do(ctx, http.MethodHead, "/_ping", nil)
	if err != nil || h.Get("Api-Version") == "" { // some proxies let no HEAD through
		h, _, err = c.do(ctx, http.MethodGet, "/_ping", nil)
	}
	if err != nil {
		return Kind(fmt.Errorf("greeting the engine: %w", err))
	}
	minor, ok := strings.CutPrefix(h.Get("Api-Version"), "1.")
	if n, err := strconv.Atoi(minor); ok && err == nil && n > 0 {
		c.minor = min(n, maxMinor)
	}
	return nil
}

// Get asks one question and reads the answer into v.
func (c *Client) Get(ctx context.Context, path string, query url.Values, v any) error {
	b, err := c.Ask(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("answer to %s is not what an engine says: %w", path, err)
	}
	return nil
}

// Ask asks one question and reads the whole answer. snap.ErrNotFound: there is no
// such thing; snap.ErrLimit: the answer is larger than MaxAnswer.
func (c *Client) Ask(ctx context.Context, path string, query url.Values) ([]byte, error) {
	u := "/v" + c.Version() + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	_, b, err := c.do(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	return b, nil
}

// Order gives one order, with v as its JSON; nil: none. What is so already is no error
// (304).
func (c *Client) Order(ctx context.Context, path string, query url.Values, v any) error {
	u := "/v" + c.Version() + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	var body []byte
	if v != nil {
		var err error
		if body, err = json.Marshal(v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	_, _, err := c.do(ctx, http.MethodPost, u, body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// do sends a request and gives the answer's head and body.
func (c *Client) do(ctx context.Context, method, at string, body []byte) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+at, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // the URL says nothing: it is of a socket
	}
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(b) > MaxAnswer:
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes: %w", MaxAnswer, snap.ErrLimit)
	case resp.StatusCode == http.StatusNotFound:
		return nil, nil, fmt.Errorf("%w%s", snap.ErrNotFound, said(b))
	case resp.StatusCode >= http.StatusBadRequest:
		return nil, nil, fmt.Errorf("the engine answers %s%s", resp.Status, said(b))
	}
	return resp.Header, b, nil
}

// said is the engine's own word in the body of an error; "" none.
func said(b []byte) string {
	var msg struct{ Message string }
	if json.Unmarshal(b, &msg) != nil || msg.Message == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(msg.Message[:min(len(msg.Message), 300)], "\uFFFD")
}

// Kind tells why there was no answer: ErrRefused, snap.ErrPermission, ErrNotFound or
// ErrTimeout; other errors, and nil, as they are.
func Kind(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrRefused
	case errors.Is(err, fs.ErrPermission):
		return snap.As(snap.ErrPermission, "", err)
	case errors.Is(err, fs.ErrNotExist):
		return snap.As(snap.ErrNotFound, "", err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return snap.As(snap.ErrTimeout, "", err)
	}
	return err
}
