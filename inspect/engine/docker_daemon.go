package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// daemon is what is known of dockerd from its process and its files.
type daemon struct {
	proc     *proc // nil: not running
	hosts    []string
	config   string // path of daemon.json
	dataRoot string
	execRoot string
	conf     daemonConfig
	// known says that command line and configuration file were read, so that a
	// setting that is in neither has its default.
	known bool
	err   error // why it is not known
}

// daemonConfig is daemon.json, as far as networks go. A nil bool is not set
// (moby daemon/config/config_linux.go).
type daemonConfig struct {
	DataRoot      string   `json:"data-root"`
	Graph         string   `json:"graph"` // its name until 17.05
	ExecRoot      string   `json:"exec-root"`
	Hosts         strings1 `json:"hosts"`
	DNS           []string `json:"dns"`
	IPTables      *bool    `json:"iptables"`
	IP6Tables     *bool    `json:"ip6tables"`
	IPForward     *bool    `json:"ip-forward"`
	IPMasq        *bool    `json:"ip-masq"`
	UserlandProxy *bool    `json:"userland-proxy"`
	LiveRestore   *bool    `json:"live-restore"`
	Backend       string   `json:"firewall-backend"`
	TLSVerify     *bool    `json:"tlsverify"`
	DirectRouting *bool    `json:"allow-direct-routing"`
	Pools         []struct {
		Base string `json:"base"`
		Size int    `json:"size"`
	} `json:"default-address-pools"`
}

// strings1 is a list of strings or one string.
type strings1 []string

// UnmarshalJSON takes both forms.
func (s *strings1) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = strings1{one}
		return nil
	}
	var list []string
	err := json.Unmarshal(b, &list)
	*s = list
	return err
}

// Defaults of dockerd run by root.
const (
	dockerDataRoot = "/var/lib/docker"
	dockerExecRoot = "/var/run/docker"
	dockerConfig   = "/etc/docker/daemon.json"
)

// findDaemons lists the dockerd processes of this host's namespace, by pid.
func (m *machine) findDaemons() []*daemon {
	var pids []int
	for pid, p := range m.procs {
		if p.comm == "dockerd" && p.trusted() && p.state != "Z" && m.here(p) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	var out []*daemon
	for _, pid := range pids {
		d := &daemon{proc: m.procs[pid]}
		d.read(m)
		out = append(out, d)
	}
	return out
}

// noDaemon is the daemon that does not run: what its files say.
func (m *machine) noDaemon() *daemon {
	d := &daemon{}
	d.read(m)
	return d
}

// read fills the daemon from its command line and its configuration file; the
// command line wins, and dockerd refuses to start when both say something.
func (d *daemon) read(m *machine) {
	d.config, d.dataRoot, d.execRoot = dockerConfig, dockerDataRoot, dockerExecRoot
	if d.proc != nil && d.proc.uid > 0 {
		d.config = d.proc.userConfig()
	}
	var args []string
	if d.proc != nil {
		if args = d.proc.args(); len(args) > 0 {
			args = args[1:]
		} else {
			d.err = fmt.Errorf("command line of dockerd (pid %d): %w", d.proc.pid, snap.ErrPermission)
		}
	}
	if v := flagValues(args, "--config-file"); len(v) > 0 {
		d.config = v[len(v)-1]
	}
	err := readJSON(m.files(d.proc, d.config), &d.conf)
	if err != nil && !errors.Is(err, snap.ErrNotFound) && d.err == nil {
		d.err = fmt.Errorf("configuration of dockerd: %w", err)
	}
	if errors.Is(err, snap.ErrNotFound) {
		d.config = ""
	}
	for _, s := range []string{d.conf.Graph, d.conf.DataRoot} {
		if s != "" {
			d.dataRoot = s
		}
	}
	if d.conf.ExecRoot != "" {
		d.execRoot = d.conf.ExecRoot
	}
	d.hosts = d.conf.Hosts
	d.flags(args)
	d.known = d.err == nil
}

// flags lays the command line over the configuration.
func (d *daemon) flags(args []string) {
	last := func(into *string, names ...string) {
		if v := flagValues(args, names...); len(v) > 0 {
			*into = v[len(v)-1]
		}
	}
	last(&d.dataRoot, "--data-root", "-g", "--graph")
	last(&d.execRoot, "--exec-root")
	last(&d.conf.Backend, "--firewall-backend")
	d.hosts = append(d.hosts, flagValues(args, "--host", "-H")...)
	d.conf.DNS = append(d.conf.DNS, flagValues(args, "--dns")...)
	for name, into := range map[string]**bool{
		"--iptables": &d.conf.IPTables, "--ip6tables": &d.conf.IP6Tables, "--ip-forward": &d.conf.IPForward, "--ip-masq": &d.conf.IPMasq,
		"--userland-proxy": &d.conf.UserlandProxy, "--live-restore": &d.conf.LiveRestore,
		"--tlsverify": &d.conf.TLSVerify, "--allow-direct-routing": &d.conf.DirectRouting,
	} {
		for _, a := range args {
			if b, ok := boolFlag(a, name); ok {
				*into = &b
			}
		}
	}
	for _, v := range flagValues(args, "--default-address-pool") {
		var pool struct {
			Base string `json:"base"`
			Size int    `json:"size"`
		}
		for part := range strings.SplitSeq(v, ",") {
			switch k, val, _ := strings.Cut(part, "="); k {
			case "base":
				pool.Base = val
			case "size":
				pool.Size, _ = strconv.Atoi(val) // 0: dockerd would not have started
			}
		}
		d.conf.Pools = append(d.conf.Pools, pool)
	}
}

// flagValues collects "--name value", "--name=value" and, for one letter,
// "-Nvalue".
func flagValues(args []string, names ...string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		for _, n := range names {
			if args[i] == n && i+1 < len(args) {
				out = append(out, args[i+1])
				i++
				break
			}
			if v, ok := strings.CutPrefix(args[i], n+"="); ok {
				out = append(out, v)
				break
			}
			if v, ok := strings.CutPrefix(args[i], n); ok && len(n) == 2 && v != "" {
				out = append(out, v)
				break
			}
		}
	}
	return out
}

// boolFlag reads "--name" and "--name=false"; pflag takes no separate value.
func boolFlag(arg, name string) (value, ok bool) {
	if arg == name {
		return true, true
	}
	v, ok := strings.CutPrefix(arg, name+"=")
	if !ok {
		return false, false
	}
	b, err := strconv.ParseBool(v)
	return b, err == nil
}

// fill writes the daemon's settings into the engine. version may be "".
func (d *daemon) fill(e *snap.Engine, version string) {
	or := func(b *bool, def bool) bool {
		if b == nil {
			return def
		}
		return *b
	}
	e.ConfigFile = d.config
	e.DataRoot, e.ExecRoot = d.dataRoot, d.execRoot
	e.IPTables = or(d.conf.IPTables, true)
	// On by default since 27.0 (moby daemon/config/config_linux.go).
	e.IP6Tables = or(d.conf.IP6Tables, major(version) >= 27)
	e.IPForward = or(d.conf.IPForward, true)
	e.UserlandProxy = or(d.conf.UserlandProxy, true)
	e.LiveRestore = or(d.conf.LiveRestore, false)
	e.TLSVerify = or(d.conf.TLSVerify, false)
	e.DirectRouting = or(d.conf.DirectRouting, false)
	e.Hosts = d.hosts
	e.DNS = d.conf.DNS
	for _, p := range d.conf.Pools {
		addPool(e, p.Base, p.Size)
	}
	e.Rules = dockerRules(version, d.conf.Backend, e.IPTables)
	if d.proc != nil {
		e.PID = d.proc.pid
		off, known := d.proc.env("DOCKER_INSECURE_NO_IPTABLES_RAW") // since 28.0.2; nftables' backend does not ask
		e.Fences = d.known && e.IPTables && (e.Rules == "docker-nft" || e.Rules == "docker-28" && known && off != "1")
	}
}

// unchosen gives the default bridge back what nobody decided: dockerd without iptables
// says that it is not to be masqueraded (moby daemon/daemon_unix.go: verifyDaemonSettings),
// and says nothing like it of other networks.
func (d *daemon) unchosen(nets []snap.Network) {
	if d.conf.IPTables == nil || *d.conf.IPTables || d.conf.IPMasq != nil && !*d.conf.IPMasq {
		return
	}
	for i := range nets {
		if n := &nets[i]; n.Default && n.Engine == Docker {
			n.Masquerade = !n.Internal && n.GatewayMode4 != "routed"
		}
	}
}

// major is the first number of a version, 0 when there is none.
func major(version string) int {
	s, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// dockerRules names the generation of the firewall rules. DOCKER-FORWARD came
// with 28.0, the nftables backend with 29.0.
func dockerRules(version, backend string, iptables bool) string {
	switch {
	case strings.HasPrefix(backend, "nftables"):
		return "docker-nft"
	case !iptables:
		return "none"
	case major(version) >= 28:
		return "docker-28"
	case major(version) > 0:
		return "docker-20"
	}
	return ""
}

// stopped says that a signal or a debugger keeps the daemon from running; it
// accepts connections then, and answers none.
func (d *daemon) stopped() bool { return d.proc.state == "T" || d.proc.state == "t" }

// listensOn says whether the daemon was told to listen on the socket. "fd://"
// is whatever systemd's docker.socket has: the default one.
func (d *daemon) listensOn(m *machine, socket string) bool {
	if len(d.hosts) == 0 {
		return sameFile(socket, strings.TrimPrefix(dockerDefault, "unix://"))
	}
	for _, h := range d.hosts {
		if strings.HasPrefix(h, "fd://") && sameFile(socket, strings.TrimPrefix(dockerDefault, "unix://")) {
			return true
		}
		if e, err := m.parseEndpoint(h, "dockerd"); err == nil && e.socket != "" && sameFile(e.socket, socket) {
			return true
		}
	}
	return false
}

// sameFile compares two paths of sockets; /var/run is /run.
func sameFile(a, b string) bool {
	norm := func(p string) string {
		p = filepath.Clean(p)
		if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
			return "/run/" + rest
		}
		return p
	}
	return norm(a) == norm(b)
}

// addPool takes one default address pool over; a base that is none is left out.
func addPool(e *snap.Engine, base string, size int) {
	if p := prefixOf(base); p.IsValid() {
		e.Pools = append(e.Pools, p)
		e.PoolSizes = append(e.PoolSizes, size)
	}
}
