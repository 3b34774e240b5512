package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/resolv"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxHostFile bounds the host's own files, which are root's: block lists in
// /etc/hosts have a few MiB.
const maxHostFile = resolv.MaxBytes

// hostOwner is the Resolver.Owner of the host itself.
const hostOwner = "host"

// resolvedFile holds the servers behind the stub 127.0.0.53
// (systemd-resolved.service(8)).
const resolvedFile = "/run/systemd/resolve/resolv.conf"

// Resolvers reads the name service files of the host, of every running
// container and of the named namespaces, in this order. A container's are read
// inside of it, as that is what its programs see, and from the engine's own
// copies where that is refused. Who has no Resolver in the answer has a Gap.
func Resolvers(ctx context.Context, containers []snap.Container, opts Options) ([]snap.Resolver, []snap.Gap) {
	r := resolverRead{m: &machine{Options: opts}, files: reader{command: opts.Child}, out: []snap.Resolver{}}
	defer r.files.close()
	host, ok := r.host()
	if ok {
		r.out = append(r.out, host)
	}
	for i := range containers {
		if containers[i].Running() {
			r.container(ctx, &containers[i])
		}
	}
	if r.denied > 1 {
		r.gaps[r.deniedAt].Why += fmt.Sprintf("; and so with %d other containers", r.denied-1)
	}
	for _, n := range opts.Named {
		r.named(n, host, ok)
	}
	return r.out, r.gaps
}

type resolverRead struct {
	m     *machine
	files reader
	out   []snap.Resolver
	gaps  []snap.Gap

	// What one container's root refuses an ordinary user, all others' do: one
	// gap, at deniedAt, stands for all of them.
	denied, deniedAt int
}

func (r *resolverRead) gap(what, owner, netns string, err error) {
	g := snap.GapOf(what, netns, err)
	g.Ref = snap.RefResolver(owner)
	r.gaps = append(r.gaps, g)
}

// host reads the host's own files; false when its resolv.conf can't be read,
// which is something else than having none.
func (r *resolverRead) host() (snap.Resolver, bool) {
	v := snap.Resolver{Owner: hostOwner, Netns: hostOwner, Source: "/etc/resolv.conf", Hosts: []snap.HostsLine{}}
	b, err := readFile(r.m.path(v.Source), maxHostFile)
	switch {
	case err == nil:
		v.ResolvConf = resolv.ParseResolvConf(b)
	case errors.Is(err, snap.ErrNotFound):
		v.ResolvConf = resolv.NoResolvConf()
	default:
		r.gap("resolv.conf", hostOwner, hostOwner, err)
		return v, false
	}
	r.hostFile("/etc/hosts", func(b []byte) { setHosts(&v, b, "/etc/hosts") })
	r.hostFile("/etc/nsswitch.conf", func(b []byte) { v.NSSwitch = resolv.ParseNSSwitch(b) })
	v.Libc = hostLibc(r.m)
	if v.Libc == resolv.Musl && v.ResolvConf.Exists {
		v.ResolvConf = resolv.ParseResolvConfAs(b, v.Libc)
	}
	r.upstreams(&v)
	if st, err := os.Stat(r.m.path(v.Source)); err == nil { // else it is not known
		v.Modified = st.ModTime().UTC()
	}
	return v, true
}

// setHosts takes a hosts file, as it is and as it reads.
func setHosts(v *snap.Resolver, b []byte, source string) {
	v.Hosts, v.HostsSource, v.HostsRaw = resolv.ParseHosts(b), source, strings.ToValidUTF8(string(b), "\uFFFD")
}

// hostFile reads one of the host's other files; one that is not there is no gap.
func (r *resolverRead) hostFile(path string, take func([]byte)) {
	b, err := readFile(r.m.path(path), maxHostFile)
	if err == nil {
		take(b)
		return
	}
	if !errors.Is(err, snap.ErrNotFound) {
		r.gap(strings.TrimPrefix(path, "/etc/"), hostOwner, hostOwner, err)
	}
}

// upstreams notes the servers behind systemd-resolved's stub.
func (r *resolverRead) upstreams(v *snap.Resolver) {
	if !slices.Contains(v.ResolvConf.Nameservers, netip.AddrFrom4([4]byte{127, 0, 0, 53})) {
		return
	}
	b, err := readFile(r.m.path(resolvedFile), maxHostFile)
	if err != nil {
		return // the stub is asked; who is behind it is not known
	}
	v.Upstreams, v.UpstreamsSource = resolv.ParseResolvConf(b).Nameservers, resolvedFile
}

// hostLibc tells the host's libc by its loader; its directories are root's.
func hostLibc(m *machine) string {
	var glibc, musl bool
	for _, dir := range []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64"} {
		names, _, err := readDir(m.path(dir))
		if err != nil {
			continue
		}
		for _, n := range names {
			musl = musl || strings.HasPrefix(n, "ld-musl-")
			glibc = glibc || strings.HasPrefix(n, "ld-linux") || strings.HasPrefix(n, "ld64.so")
		}
	}
	switch {
	case musl && !glibc, musl && exists(m.path("/etc/alpine-release")):
		return resolv.Musl
	case glibc && !musl:
		return resolv.Glibc
	}
	return ""
}

// container reads one container's files.
func (r *resolverRead) container(ctx context.Context, c *snap.Container) {
	a, err := rootAnswer{}, snap.NotFoundf("its process is not known")
	if c.PID > 0 {
		q := rootRequest{Proc: r.m.path(fmt.Sprintf("/proc/%d", c.PID)), ID: c.ID}
		if inode := r.m.Inside[c.Ref]; inode != 0 {
			q.ID, q.Netns = "", inode
		}
		a, err = r.files.read(ctx, q)
	}
	if err != nil {
		r.unread(c, err)
		a = rootAnswer{}
	}
	v := snap.Resolver{Owner: c.Ref, Netns: c.Netns, Libc: a.Libc, Hosts: []snap.HostsLine{}}
	if !r.conf(c, &a, &v) {
		return
	}
	r.hosts(c, &a, &v)
	f := a.Files["etc/nsswitch.conf"]
	if f.Err != "" {
		r.gap("nsswitch.conf", c.Ref, c.Netns, kindError(f.Kind, f.Err))
	}
	v.NSSwitch = resolv.ParseNSSwitch(f.Data)
	r.out = append(r.out, v)
}

// unread notes that nothing inside a container could be read.
func (r *resolverRead) unread(c *snap.Container, err error) {
	if errors.Is(err, snap.ErrPermission) {
		if r.denied++; r.denied > 1 {
			return
		}
		r.deniedAt = len(r.gaps)
	}
	r.gap("resolv.conf", c.Ref, c.Netns, fmt.Errorf("name service files of container %s: %w", c.Name, err))
}

// conf takes resolv.conf from inside the container, else the engine's copy;
// false when there is neither.
func (r *resolverRead) conf(c *snap.Container, a *rootAnswer, v *snap.Resolver) bool {
	engines, engineErr := []byte(nil), snap.ErrNotFound
	if c.ResolvConfPath != "" {
		engines, engineErr = readFile(r.m.path(c.ResolvConfPath), maxRootFile)
	}
	f, inside := a.Files["etc/resolv.conf"]
	if f.Err != "" {
		r.gap("resolv.conf", c.Ref, c.Netns, kindError(f.Kind, f.Err))
	}
	switch {
	case inside && f.Err == "":
		v.Source = "root:/etc/resolv.conf"
		if v.ResolvConf = resolv.NoResolvConf(); !f.Missing {
			v.ResolvConf = resolv.ParseResolvConfAs(f.Data, v.Libc)
		}
		if f.Denied != "" { // to its programs that is one that is not there: glibc res_init, musl __get_resolv_conf
			v.ResolvConf, v.ResolvConf.Exists = resolv.NoResolvConf(), true
			v.ResolvConf.Raw, v.ResolvConf.Denied = strings.ToValidUTF8(string(f.Data), "\uFFFD"), f.Denied
		}
		// Docker mounts its file, so both are one, unless somebody came between.
		if engineErr == nil && string(engines) != string(f.Data) {
			v.EngineResolvConf = strings.ToValidUTF8(string(engines), "\uFFFD")
		}
	case engineErr == nil:
		v.Source = "engine:" + c.ResolvConfPath
		v.ResolvConf = resolv.ParseResolvConfAs(engines, v.Libc)
	default:
		return false
	}
	return true
}

// hosts takes the hosts file in the same way.
func (r *resolverRead) hosts(c *snap.Container, a *rootAnswer, v *snap.Resolver) {
	f, inside := a.Files["etc/hosts"]
	if f.Err != "" {
		r.gap("hosts", c.Ref, c.Netns, kindError(f.Kind, f.Err))
	}
	if inside && f.Err == "" {
		if !f.Missing {
			setHosts(v, f.Data, "root:/etc/hosts")
		}
		return
	}
	if c.HostsPath == "" {
		return
	}
	if b, err := readFile(r.m.path(c.HostsPath), maxRootFile); err == nil {
		setHosts(v, b, "engine:"+c.HostsPath)
	}
}

// named makes the resolver of a plain namespace: `ip netns exec` mounts the
// files of /etc/netns/NAME over the host's (ip-netns(8)); without them it is
// the host's files.
func (r *resolverRead) named(n Named, host snap.Resolver, hostOK bool) {
	v := host
	v.Owner, v.Netns = n.ID, n.ID
	ok := hostOK
	for _, name := range n.Names {
		if name == "" || strings.ContainsAny(name, "/\x00") || name == ".." || name == "." {
			continue
		}
		dir := "/etc/netns/" + name
		if b, err := readFile(r.m.path(dir+"/resolv.conf"), maxHostFile); err == nil {
			v.Source, v.ResolvConf, v.Upstreams, v.UpstreamsSource = dir+"/resolv.conf", resolv.ParseResolvConfAs(b, host.Libc), nil, ""
			ok = true
		} else if !errors.Is(err, snap.ErrNotFound) {
			r.gap("resolv.conf", n.ID, n.ID, err)
			continue
		}
		if b, err := readFile(r.m.path(dir+"/hosts"), maxHostFile); err == nil {
			setHosts(&v, b, dir+"/hosts")
		}
		if b, err := readFile(r.m.path(dir+"/nsswitch.conf"), maxHostFile); err == nil {
			v.NSSwitch = resolv.ParseNSSwitch(b)
		}
		break
	}
	if ok {
		r.out = append(r.out, v)
	}
}
