package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sysctlDir is one directory with the keys wanted of it, and what is wanted of
// the directories below.
type sysctlDir struct {
	dir  string
	keys []string
	subs []sysctlDir
}

// plainSysctls are the keys that are the same for all devices and that decide
// about packets or ports in every namespace. What a kernel or a namespace does
// not have is left out.
func plainSysctls() []sysctlDir {
	return []sysctlDir{
		{dir: "ipv4", keys: []string{
			"ip_forward", "ip_default_ttl", "ip_nonlocal_bind", "ip_no_pmtu_disc", "ip_local_port_range",
			"ip_local_reserved_ports", "ip_unprivileged_port_start", "ip_forward_use_pmtu", "fwmark_reflect",
			"ping_group_range", "fib_multipath_hash_policy", "icmp_echo_ignore_all", "icmp_ratelimit", "icmp_ratemask",
			"tcp_syncookies", "tcp_l3mdev_accept", "udp_l3mdev_accept", "tcp_mtu_probing", "tcp_ecn", "tcp_ecn_fallback",
		}, subs: []sysctlDir{
			{dir: "conf", subs: []sysctlDir{{dir: "all", keys: confKeys(devconf4())}}},
			{dir: "vs", keys: []string{
				"conntrack", "conn_reuse_mode", "expire_nodest_conn", "expire_quiescent_template", "snat_reroute",
			}},
		}},
		{dir: "ipv6", keys: []string{"bindv6only", "ip_nonlocal_bind", "fib_multipath_hash_policy"}, subs: []sysctlDir{
			{dir: "conf", subs: []sysctlDir{{dir: "all", keys: confKeys(devconf6())}}},
			{dir: "icmp", keys: []string{"echo_ignore_all", "ratelimit"}},
		}},
		{dir: "bridge", keys: []string{
			"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables",
			"bridge-nf-filter-vlan-tagged", "bridge-nf-pass-vlan-input-dev",
		}},
		{dir: "netfilter", keys: []string{
			"nf_conntrack_max", "nf_conntrack_count", "nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_loose",
		}},
	}
}

// hostSysctls are those that only explain, or hold for the whole machine: they
// are read in the host's namespace. The first look at a key costs the kernel
// 10 µs, which a thousand containers would multiply.
func hostSysctls() []sysctlDir {
	thresholds := sysctlDir{dir: "neigh", subs: []sysctlDir{
		{dir: "default", keys: []string{"gc_thresh1", "gc_thresh2", "gc_thresh3"}},
	}}
	return []sysctlDir{
		{dir: "core", keys: []string{"somaxconn", "default_qdisc", "netdev_max_backlog"}},
		{dir: "ipv4", keys: []string{
			"ip_early_demux", "ip_forward_update_priority", "fib_multipath_use_neigh", "nexthop_compat_mode",
			"icmp_echo_ignore_broadcasts", "icmp_errors_use_inbound_ifaddr", "icmp_msgs_per_sec", "icmp_msgs_burst",
			"raw_l3mdev_accept", "tcp_fwmark_accept", "tcp_base_mss", "tcp_tw_reuse", "tcp_max_syn_backlog",
			"tcp_timestamps", "tcp_abort_on_overflow", "tcp_max_tw_buckets",
		}, subs: []sysctlDir{
			thresholds,
			{dir: "route", keys: []string{"mtu_expires", "min_pmtu"}},
			{dir: "conf", subs: []sysctlDir{{dir: "default", keys: confKeys(devconf4())}}},
		}},
		{dir: "ipv6", keys: []string{"fwmark_reflect", "auto_flowlabels", "flowlabel_consistency"}, subs: []sysctlDir{
			thresholds,
			{dir: "route", keys: []string{"max_size"}},
			{dir: "conf", subs: []sysctlDir{{dir: "default", keys: confKeys(devconf6())}}},
		}},
		{dir: "bridge", keys: []string{"bridge-nf-filter-pppoe-tagged"}},
		{dir: "netfilter", keys: []string{
			"nf_conntrack_buckets", "nf_conntrack_helper", "nf_conntrack_acct", "nf_conntrack_checksum",
			"nf_conntrack_tcp_timeout_established", "nf_conntrack_tcp_timeout_syn_sent", "nf_conntrack_tcp_timeout_syn_recv",
			"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream", "nf_conntrack_icmp_timeout",
			"nf_log_all_netns",
		}},
	}
}

func confKeys(list []devconf) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.key
	}
	return out
}

// sysctlReader reads files below /proc/sys/net, which shows the namespace of
// the thread that looks (net/sysctl_net.c:is_seen).
//
// Directories are opened once and files below them: the kernel keeps the
// "ipv4" of all namespaces under one name, and every walk through it compares
// them one by one (fs/proc/proc_sysctl.c:proc_sys_compare). With whole paths
// 200 namespaces took twice as long, and 1,000 ten times.
type sysctlReader struct {
	buf     []byte
	out     map[string]string
	refused error
}

// readSysctls fills in the keys of the namespace and of the device "all"; those
// of real devices are in out already, see decodeDevconf. With host those of
// hostSysctls and of the device "default" come along. Without bridges those of
// br_netfilter say nothing and are left out. It must run on a thread inside.
func readSysctls(ctx context.Context, out map[string]string, host, bridges bool) error {
	fd, err := openDir(unix.AT_FDCWD, "/proc/sys/net")
	if err != nil {
		return NetlinkError("opening /proc/sys/net", err)
	}
	defer unix.Close(fd)
	s := &sysctlReader{buf: make([]byte, 4096), out: out}
	dirs := plainSysctls()
	if host {
		dirs = append(dirs, hostSysctls()...)
	}
	for _, d := range dirs {
		if ctx.Err() != nil {
			return fmt.Errorf("reading sysctls: %w", snap.ErrTimeout)
		}
		if d.dir != "bridge" || host || bridges {
			s.dir(fd, "net/", d)
		}
	}
	return s.refused
}

func openDir(at int, path string) (int, error) {
	return unix.Openat(at, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// dir reads what is wanted of one directory; one that is not there has nothing.
func (s *sysctlReader) dir(at int, prefix string, d sysctlDir) {
	fd, err := openDir(at, d.dir)
	if err != nil {
		s.note(prefix+d.dir, err)
		return
	}
	defer unix.Close(fd)
	prefix += d.dir + "/"
	for _, k := range d.keys {
		v, err := s.read(fd, k)
		if err != nil {
			s.note(prefix+k, err)
			continue
		}
		s.out[prefix+k] = v
	}
	for _, sub := range d.subs {
		s.dir(fd, prefix, sub)
	}
}

// note keeps the refusals; what is not there is no error.
func (s *sysctlReader) note(key string, err error) {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		s.refused = NetlinkError("reading sysctl "+key, err)
	}
}

// read gives the value of one key without its newline.
func (s *sysctlReader) read(at int, key string) (string, error) {
	fd, err := unix.Openat(at, key, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, s.buf)
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(s.buf[:n])), nil
}
