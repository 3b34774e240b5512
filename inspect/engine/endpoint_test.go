package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// context writes the metadata of a docker context.
func (h *fakeHost) context(name, host string) {
	h.t.Helper()
	sum := sha256.Sum256([]byte(name))
	h.file("/root/.docker/contexts/meta/"+hex.EncodeToString(sum[:])+"/meta.json", fmt.Sprintf(`{"Name":%q,"Metadata":{},"Endpoints":{"docker":{"Host":%q,"SkipTLSVerify":false}}}`, name, host))
}

func TestDockerEndpoint(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		opts  Options
		env   map[string]string
		setup func(*fakeHost)
		want  string
	}{
		{name: "the default", want: "unix:///var/run/docker.sock from default"},
		{name: "the option goes first", opts: Options{DockerHost: "unix:///a.sock"}, env: map[string]string{"DOCKER_HOST": "unix:///b.sock"}, want: "unix:///a.sock from the option"},
		{name: "DOCKER_HOST goes before the context", env: map[string]string{"DOCKER_HOST": "unix:///b.sock", "DOCKER_CONTEXT": "work"}, want: "unix:///b.sock from DOCKER_HOST"},
		{
			name: "a context of the environment", env: map[string]string{"DOCKER_CONTEXT": "work", "HOME": "/root"}, setup: func(h *fakeHost) { h.context("work", "tcp://192.0.2.1:2376") },
			want: "tcp://192.0.2.1:2376 from context work tcp=192.0.2.1:2376",
		},
		{name: "the current context", env: map[string]string{"HOME": "/root"}, setup: func(h *fakeHost) {
			h.file("/root/.docker/config.json", `{"currentContext":"work","auths":{}}`)
			h.context("work", "ssh://me@example.org")
		}, want: "ssh://me@example.org from context work"},
		{
			name: "the context named default is none", env: map[string]string{"HOME": "/root"}, setup: func(h *fakeHost) { h.file("/root/.docker/config.json", `{"currentContext":"default"}`) },
			want: "unix:///var/run/docker.sock from default",
		},
		{
			name: "a directory of the user's choice", env: map[string]string{"DOCKER_CONFIG": "/conf"}, setup: func(h *fakeHost) { h.file("/conf/config.json", `{"currentContext":"none"}`) },
			want: ` from context none: docker context "none"`,
		},
		{
			name: "a damaged configuration is told", env: map[string]string{"HOME": "/root"}, setup: func(h *fakeHost) { h.file("/root/.docker/config.json", `{`) },
			want: " from : finding the docker context",
		},
		{name: "a running dockerd's own socket where the default is missing", setup: func(h *fakeHost) {
			h.proc(fakeProc{pid: 800, comm: "dockerd", args: []string{"dockerd", "-H", "tcp://127.0.0.1:2375", "--host=unix:///data/docker.sock"}})
		}, want: "unix:///data/docker.sock from dockerd"},
		{
			name: "TLS from the environment", env: map[string]string{"DOCKER_HOST": "tcp://127.0.0.1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"},
			want: "tcp://127.0.0.1 from DOCKER_HOST tcp=127.0.0.1:2376 tls=/certs",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHost(t)
			if tt.setup != nil {
				tt.setup(h)
			}
			o := tt.opts
			o.Root, o.Env = h.root, func(k string) string { return tt.env[k] }
			m := newMachine(o)
			var d *daemon
			if list := m.findDaemons(); len(list) > 0 {
				d = list[0]
			}
			ep, err := m.dockerEndpoint(d)
			got := fmt.Sprintf("%s from %s", ep.url, ep.source)
			if ep.tcp != "" {
				got += " tcp=" + ep.tcp
			}
			if ep.tls != "" {
				got += " tls=" + ep.tls
			}
			if err != nil {
				got += ": " + err.Error()
				got = got[:min(len(got), len(tt.want))]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDaemonSettings(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.file("/conf/daemon.json", `{"iptables":false,"live-restore":true,"data-root":"/conf-root","dns":["192.0.2.1"],"default-address-pools":[{"base":"10.1.0.0/16","size":24}]}`)
	h.proc(fakeProc{pid: 800, comm: "dockerd", args: []string{
		"/usr/bin/dockerd", "--config-file=/conf/daemon.json", "-g/flag-root", "--userland-proxy=false",
		"--ip6tables", "--dns", "192.0.2.2", "--default-address-pool", "base=10.2.0.0/16,size=20", "-Hunix:///x.sock",
	}})
	m := newMachine(h.options())
	d := m.findDaemons()[0]
	if !d.known || d.dataRoot != "/flag-root" || d.config != "/conf/daemon.json" || len(d.hosts) != 1 || d.hosts[0] != "unix:///x.sock" {
		t.Errorf("daemon = %+v", d)
	}
	c := d.conf
	if *c.IPTables || !*c.IP6Tables || *c.UserlandProxy || !*c.LiveRestore || c.IPForward != nil || len(c.DNS) != 2 || len(c.Pools) != 2 || c.Pools[1].Size != 20 {
		t.Errorf("settings = %+v", c)
	}
	if !d.listensOn(m, "/x.sock") || d.listensOn(m, "/var/run/docker.sock") {
		t.Error("it listens on /x.sock only")
	}
}

// TestNobodyChoseNoMasquerade: without iptables dockerd says of the default bridge, and
// of no other network, that it is not masqueraded.
func TestNobodyChoseNoMasquerade(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, tt := range []struct {
		name             string
		iptables, ipMasq *bool
		want             []bool
	}{
		{"dockerd writes no rules", &no, nil, []bool{true, false, false}},
		{"and is to translate", &no, &yes, []bool{true, false, false}},
		{"and is to translate nothing", &no, &no, []bool{false, false, false}},
		{"it writes them, and was told not to translate", nil, &no, []bool{false, false, false}},
	} {
		nets := []snap.Network{
			{Engine: Docker, Name: "bridge", Default: true},
			{Engine: Docker, Name: "chosen"},
			{Engine: Docker, Name: "routed", Default: true, GatewayMode4: "routed"},
		}
		d := daemon{conf: daemonConfig{IPTables: tt.iptables, IPMasq: tt.ipMasq}}
		d.unchosen(nets)
		for i, want := range tt.want {
			if nets[i].Masquerade != want {
				t.Errorf("%s: masquerade of %s is %v", tt.name, nets[i].Name, !want)
			}
		}
	}
}

func TestRulesByVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version, backend string
		iptables         bool
		want             string
	}{
		{"20.10.24+dfsg1", "", true, "docker-20"},
		{"27.5.1", "", true, "docker-20"},
		{"28.0.0", "iptables", true, "docker-28"},
		{"29.1.0", "iptables+firewalld", true, "docker-28"},
		{"29.1.0", "nftables", true, "docker-nft"},
		{"29.1.0", "", false, "none"},
		{"", "", true, ""},
		{"dev", "", true, ""},
	} {
		if got := dockerRules(tt.version, tt.backend, tt.iptables); got != tt.want {
			t.Errorf("dockerRules(%q, %q, %v) = %q, want %q", tt.version, tt.backend, tt.iptables, got, tt.want)
		}
	}
}

func TestTheRawTableIsDockersWhereThatIsKnown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, version, flag, environ string
		want                         bool
	}{
		{"28", "28.0.4", "", "HOME=/root\x00PATH=/bin\x00", true},
		{"27 has no such rules", "27.5.1", "", "HOME=/root\x00", false},
		{"told not to", "29.0.0", "", "HOME=/root\x00DOCKER_INSECURE_NO_IPTABLES_RAW=1\x00", false},
		{"another value", "29.0.0", "", "DOCKER_INSECURE_NO_IPTABLES_RAW=0\x00", true},
		{"environment not read", "29.0.0", "", "", false},
		{"nftables does not ask", "29.0.0", "--firewall-backend=nftables", "DOCKER_INSECURE_NO_IPTABLES_RAW=1\x00", true},
		{"no rules at all", "29.0.0", "--iptables=false", "HOME=/root\x00", false},
	} {
		h := newFakeHost(t)
		h.proc(fakeProc{pid: 800, comm: "dockerd", args: []string{"dockerd", tt.flag}})
		if tt.environ != "" {
			h.file("/proc/800/environ", tt.environ)
		}
		var e snap.Engine
		newMachine(h.options()).findDaemons()[0].fill(&e, tt.version)
		if e.Fences != tt.want {
			t.Errorf("%s: fences %v", tt.name, e.Fences)
		}
	}
}
