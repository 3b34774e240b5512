package engine

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
)

// dial prepares the client; nothing is sent yet.
func (m *machine) dial(e *endpoint) (*dockerapi.Client, error) {
	network, addr := "tcp", e.tcp
	if e.socket != "" {
		network, addr = "unix", m.path(e.socket)
	}
	var conf *tls.Config
	if e.tls != "" {
		var err error
		if conf, err = m.clientTLS(e.tls); err != nil {
			return nil, err
		}
	}
	return dockerapi.New(network, addr, conf), nil
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
