package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/moby/moby/client"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxAnswer bounds one answer of the API: 10,000 containers in the list have
// about 20 MB.
const maxAnswer = 64 << 20

// dockerAPI speaks to one daemon. Moby's client connects and negotiates the
// version; the answers are read by us, into our own lenient types, with a bound
// on their size, without redirects, by GET only.
type dockerAPI struct {
	moby *client.Client
	http *http.Client
	base string // scheme and host of requests
	peer int    // pid that made the unix socket listen, 0 unknown
	dial func(ctx context.Context) (net.Conn, error)
}

var errRedirect = errors.New("the engine answered with a redirect")

// dial prepares the client; nothing is sent yet.
func (m *machine) dial(e *endpoint) (*dockerAPI, error) {
	network, addr := "tcp", e.tcp
	if e.socket != "" {
		network, addr = "unix", m.path(e.socket)
	}
	var d net.Dialer //nolint:forbidigo // dials what Docker's clients dial, in the caller's namespace
	a := &dockerAPI{base: "http://docker", dial: func(ctx context.Context) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}}
	tr := &http.Transport{
		DisableCompression: true, // a small answer must not become a huge one
		MaxIdleConns:       8, MaxIdleConnsPerHost: 8, MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return a.dial(ctx)
		},
	}
	opts := []client.Opt{client.WithHost("unix://" + addr)}
	if e.tcp != "" {
		a.base = "http://" + e.tcp
		opts = []client.Opt{client.WithHost("tcp://" + e.tcp)}
	}
	if e.tls != "" {
		conf, err := m.clientTLS(e.tls)
		if err != nil {
			return nil, err
		}
		tr.TLSClientConfig = conf
		a.base = "https://" + e.tcp
		opts = append(opts, client.WithScheme("https"))
	}
	a.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect }}
	var err error
	// The bound goes under moby's client too, whose transport is otherwise ours.
	a.moby, err = client.New(append(opts, client.WithHTTPClient(&http.Client{Transport: bounded{tr}, CheckRedirect: a.http.CheckRedirect}))...)
	return a, err
}

// clientTLS loads a directory of certificates as the docker command lays it out.
func (m *machine) clientTLS(dir string) (*tls.Config, error) {
	read := func(name string) ([]byte, error) { return readFile(m.path(filepath.Join(dir, name)), maxConfig) }
	ca, err := read("ca.pem")
	if err != nil {
		return nil, fmt.Errorf("certificates of the docker host: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	conf.RootCAs.AppendCertsFromPEM(ca)
	cert, err1 := read("cert.pem")
	key, err2 := read("key.pem")
	if err1 == nil && err2 == nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificates of the docker host: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// bounded cuts every answer at maxAnswer.
type bounded struct{ next http.RoundTripper }

// RoundTrip sends the request on and bounds the body of the answer.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// close lets the connections go.
func (a *dockerAPI) close() { a.http.CloseIdleConnections() }

// hello connects and agrees on a version. It connects once by itself: moby's
// client turns the reason for a refusal into prose.
func (a *dockerAPI) hello(ctx context.Context) error {
	c, err := a.dial(ctx)
	if err != nil {
		return connectKind(err)
	}
	a.peer = peerPID(c)
	_ = c.Close() // nothing was written
	if _, err := a.moby.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // what moby's client makes of a deadline is prose, too
		}
		return connectKind(fmt.Errorf("greeting the engine: %w", err))
	}
	return nil
}

// get asks one question and reads the answer into v.
func (a *dockerAPI) get(ctx context.Context, path string, query url.Values, v any) error {
	b, err := a.ask(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("answer to %s is not what an engine says: %w", path, err)
	}
	return nil
}

// ask asks one question and reads the whole answer.
func (a *dockerAPI) ask(ctx context.Context, path string, query url.Values) ([]byte, error) {
	u := a.base + "/v" + strings.TrimPrefix(a.moby.ClientVersion(), "v") + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	switch {
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("answer to %s is larger than %d bytes: %w", path, maxAnswer, snap.ErrLimit)
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", path, snap.ErrNotFound)
	case resp.StatusCode != http.StatusOK:
		var msg struct{ Message string }
		_ = json.Unmarshal(b, &msg) // no message is no matter
		return nil, fmt.Errorf("%s: the engine answers %s: %s", path, resp.Status, strings.ToValidUTF8(msg.Message[:min(len(msg.Message), 300)], "\uFFFD"))
	}
	return b, nil
}

// connectKind tells why there was no answer.
func connectKind(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return errRefused
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (%w)", snap.ErrPermission, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w (%w)", snap.ErrNotFound, err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w (%w)", snap.ErrTimeout, err)
	}
	return err
}

// errRefused: a socket is there, and nobody listens on it.
var errRefused = fmt.Errorf("nobody listens: %w", snap.ErrNotFound)
