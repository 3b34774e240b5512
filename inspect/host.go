package inspect

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hostInfo fills in snap.Host. Files that are not there leave fields empty;
// every Linux may lack some of them.
func hostInfo(s *snap.Snapshot, c *collector) {
	h := &s.Host
	h.Name = line("/proc/sys/kernel/hostname")
	h.Kernel = line("/proc/sys/kernel/osrelease")
	h.BootID = line("/proc/sys/kernel/random/boot_id")
	h.Arch = arch()
	h.Distro = distro("/etc/os-release", "/usr/lib/os-release")
	h.Modules = modules(h.Kernel, s.HostNs())
	h.Tools = tools()
	lines, err := sysctlLines("/")
	if err != nil {
		s.Gaps = append(s.Gaps, snap.GapOf("sysctl configuration", "", err))
	}
	h.SysctlFiles = lines
	h.Services = services(c.procs, hostInode(s), installed)
}

func hostInode(s *snap.Snapshot) uint64 {
	if n := s.HostNs(); n != nil {
		return n.Inode
	}
	return 0
}

// maxHostFile bounds the host's own small files.
const maxHostFile = 1 << 20

// small reads a small regular file of the host.
func small(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("no regular file")}
	}
	b := make([]byte, maxHostFile)
	n := 0
	for n < len(b) {
		k, err := f.Read(b[n:])
		n += k
		if err != nil || k == 0 {
			break // files of proc have no size; the end of the file is the end
		}
	}
	return b[:n], nil
}

// line is the first line of a file, "" when it can't be read.
func line(path string) string {
	b, err := small(path)
	if err != nil {
		return ""
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	return strings.TrimSpace(string(first))
}

// arch is what uname -m says. The file exists since Linux 6.1.
func arch() string {
	if a := line("/proc/sys/kernel/arch"); a != "" {
		return a
	}
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return runtime.GOARCH
}

// distro is PRETTY_NAME of the first os-release(5) file that is there.
func distro(paths ...string) string {
	for _, p := range paths {
		b, err := small(p)
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(l), "PRETTY_NAME="); ok {
				return strings.Trim(v, `"'`)
			}
		}
	}
	return ""
}

// netModule says whether a module has to do with networking.
func netModule(name string) bool {
	switch name {
	case "bridge", "br_netfilter", "veth", "vxlan", "geneve", "macvlan", "macvtap", "ipvlan", "ipvtap", "8021q",
		"bonding", "team", "dummy", "ifb", "tun", "tap", "vrf", "wireguard", "openvswitch", "sctp", "stp", "llc",
		"netlink_diag", "inet_diag", "tcp_diag", "udp_diag", "sctp_diag", "raw_diag", "netconsole", "tunnel4", "tunnel6", "overlay":
		return true
	}
	for _, p := range []string{"nf_", "nft_", "nfnetlink", "xt_", "x_tables", "ip_", "ip6", "ipt_", "iptable_", "ebt", "arp", "sch_", "cls_", "act_", "em_", "vhost_net", "virtio_net", "esp", "xfrm", "ip_vs"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// modules are the loaded ones that matter, and those built into the kernel.
// Where neither list can be read, what the host's namespace shows is proof of
// some: a kernel in one piece has no list at all.
func modules(kernel string, host *snap.Netns) []string {
	have := map[string]bool{}
	add := func(name string) {
		if name = strings.ReplaceAll(name, "-", "_"); netModule(name) {
			have[name] = true
		}
	}
	if b, err := small("/proc/modules"); err == nil {
		for l := range strings.Lines(string(b)) {
			name, _, _ := strings.Cut(l, " ")
			add(name)
		}
	}
	if b, err := small(filepath.Join("/lib/modules", kernel, "modules.builtin")); err == nil {
		for l := range strings.Lines(string(b)) {
			add(strings.TrimSuffix(filepath.Base(strings.TrimSpace(l)), ".ko"))
		}
	}
	if entries, err := os.ReadDir("/sys/module"); err == nil {
		for _, e := range entries {
			add(e.Name())
		}
	}
	if host != nil {
		for key, name := range map[string]string{
			"net/bridge/bridge-nf-call-iptables": "br_netfilter",
			"net/netfilter/nf_conntrack_max":     "nf_conntrack",
			"net/ipv4/vs/conntrack":              "ip_vs",
		} {
			if _, ok := host.Sysctls[key]; ok {
				add(name)
			}
		}
		if host.Ruleset.Generation != 0 {
			add("nf_tables")
		}
		for _, l := range host.Links {
			if netModule(l.Kind) {
				add(l.Kind)
			}
		}
	}
	for file, name := range map[string]string{
		"ip_tables_names": "ip_tables", "ip6_tables_names": "ip6_tables", "arp_tables_names": "arp_tables", "ip_vs": "ip_vs",
	} {
		if _, err := os.Stat("/proc/thread-self/net/" + file); err == nil {
			add(name)
		}
	}
	out := make([]string, 0, len(have))
	for name := range have {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// tools are the host programs that a fix, or a person, may use.
func tools() map[string]string {
	out := map[string]string{}
	for _, name := range []string{
		"ip", "tc", "bridge", "ss", "ethtool", "sysctl", "modprobe", "conntrack", "ipset", "nft",
		"iptables", "iptables-nft", "iptables-legacy", "ip6tables", "ip6tables-nft", "ip6tables-legacy",
		"iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore",
		"ebtables", "ebtables-nft", "ebtables-legacy", "arptables", "docker", "podman", "nerdctl", "systemctl",
		"firewall-cmd", "ufw", "resolvectl", "nmcli", "ipvsadm", "bpftool", "tcpdump",
	} {
		if path, err := ns.Look(name); err == nil {
			out[name] = path
		}
	}
	if path, err := ns.Aardvark(); err == nil {
		out["aardvark-dns"] = path
	}
	return out
}

// lines calls f for each line of a file with its number, from 1.
func lines(b []byte, f func(n int, l string)) {
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, maxHostFile+1)
	for n := 1; sc.Scan(); n++ {
		f(n, sc.Text())
	}
}
