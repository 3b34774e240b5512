package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dockerDefault is where the docker command looks when it is told nothing.
const dockerDefault = "unix:///var/run/docker.sock"

// endpoint is a daemon's address and how it was found.
type endpoint struct {
	url    string // unix:///run/docker.sock, tcp://192.0.2.1:2376, ssh://user@host
	source string // "the option", "DOCKER_HOST", "context NAME", "default", "dockerd"
	socket string // path of a unix socket, "" otherwise
	tcp    string // host:port of TCP, "" otherwise
	tls    string // directory with ca.pem, cert.pem, key.pem; "" plain
	asked  bool   // the user named it: that it is not there is worth a Gap
}

// local says that the endpoint can only be on this machine as far as the
// address tells. A forwarded socket still may not be: pids decide.
func (e *endpoint) local() bool { return e.socket != "" || e.tcp != "" && ownHost(e.tcp) }

// ownHost says whether host:port is an address of this machine. Names are not
// looked up: asking a DNS server who an engine is would trust the server.
func ownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, x := range addrs {
		if p, err := netip.ParsePrefix(x.String()); err == nil && p.Addr() == a.WithZone("") {
			return true
		}
	}
	return false
}

// dockerEndpoint finds the daemon's address in the order of the docker command
// (docker/cli cli/command/cli.go: resolveContextName): option, DOCKER_HOST,
// DOCKER_CONTEXT, the current context, the default socket. Where that socket is
// missing, the one that a running dockerd was told to listen on is taken, which
// a root shell without the user's environment would miss.
func (m *machine) dockerEndpoint(d *daemon) (endpoint, error) {
	if m.DockerHost != "" {
		return m.parseEndpoint(m.DockerHost, "the option")
	}
	if h := m.env("DOCKER_HOST"); h != "" {
		return m.parseEndpoint(h, "DOCKER_HOST")
	}
	name, err := m.contextName()
	if err != nil {
		return endpoint{asked: true}, err
	}
	if name != "" && name != "default" {
		return m.contextEndpoint(name)
	}
	ep, err := m.parseEndpoint(dockerDefault, "default")
	ep.asked = false
	if err == nil && !exists(m.path(ep.socket)) && d != nil {
		for _, h := range d.hosts {
			if e, err := m.parseEndpoint(h, "dockerd"); err == nil && e.socket != "" {
				e.asked = false
				return e, nil
			}
		}
	}
	return ep, err
}

// CheckDockerHost says why a text can't be the address of a daemon.
func CheckDockerHost(raw string) error {
	m := machine{Options: Options{Env: func(string) string { return "" }}}
	_, err := m.parseEndpoint(raw, "--docker-host")
	return err
}

func (m *machine) parseEndpoint(raw, source string) (endpoint, error) {
	e := endpoint{url: raw, source: source, asked: true}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return e, fmt.Errorf("docker host %q of %s is no address: %w", raw, source, snap.ErrUnsupported)
	}
	switch scheme {
	case "unix":
		if !strings.HasPrefix(rest, "/") {
			return e, fmt.Errorf("docker host %q of %s has no absolute path: %w", raw, source, snap.ErrUnsupported)
		}
		e.socket = rest
	case "tcp", "http", "https":
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" {
			return e, fmt.Errorf("docker host %q of %s is no address: %w", raw, source, snap.ErrUnsupported)
		}
		port := u.Port()
		secure := scheme == "https" || m.env("DOCKER_TLS_VERIFY") != ""
		if port == "" {
			port = map[bool]string{false: "2375", true: "2376"}[secure]
		}
		e.tcp = net.JoinHostPort(u.Hostname(), port)
		if secure {
			if e.tls = m.env("DOCKER_CERT_PATH"); e.tls == "" {
				e.tls = m.dockerDir()
			}
		}
	case "ssh", "npipe", "fd":
	default:
		return e, fmt.Errorf("docker host %q of %s: scheme %q: %w", raw, source, scheme, snap.ErrUnsupported)
	}
	return e, nil
}

// dockerDir is the directory of the docker command's own files; "" when there
// is no home.
func (m *machine) dockerDir() string {
	if d := m.env("DOCKER_CONFIG"); d != "" {
		return d
	}
	if h := m.env("HOME"); h != "" {
		return filepath.Join(h, ".docker")
	}
	return ""
}

// contextName is the context in use, "" or "default" for none.
func (m *machine) contextName() (string, error) {
	if c := m.env("DOCKER_CONTEXT"); c != "" {
		return c, nil
	}
	dir := m.dockerDir()
	if dir == "" {
		return "", nil
	}
	var conf struct{ CurrentContext string }
	file := m.path(filepath.Join(dir, "config.json"))
	if !exists(file) {
		return "", nil
	}
	if err := readJSON(file, &conf); err != nil {
		return "", fmt.Errorf("finding the docker context: %w", err)
	}
	return conf.CurrentContext, nil
}

// contextEndpoint reads a context's metadata (docker/cli
// cli/context/store/metadatastore.go): the directory is the hash of its name.
func (m *machine) contextEndpoint(name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	base := filepath.Join(m.dockerDir(), "contexts")
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := readJSON(m.path(filepath.Join(base, "meta", id, "meta.json")), &meta); err != nil {
		return endpoint{source: "context " + name, asked: true},
			snap.Hint(fmt.Errorf("docker context %q: %w", name, err), "docker context ls")
	}
	e, err := m.parseEndpoint(meta.Endpoints["docker"].Host, "context "+name)
	if certs := filepath.Join(base, "tls", id, "docker"); e.tcp != "" && exists(m.path(certs)) {
		e.tls = certs
	}
	return e, err
}
