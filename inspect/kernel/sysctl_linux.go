package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// plainSysctls are the keys below net/ that are the same for all devices and
// that decide about packets, names or ports, or explain what was decided. What
// a kernel or a namespace does not have is left out.
func plainSysctls() []string {
	return []string{
		"core/somaxconn", "core/default_qdisc", "core/netdev_max_backlog",
		"ipv4/ip_forward", "ipv4/ip_default_ttl", "ipv4/ip_nonlocal_bind", "ipv4/ip_no_pmtu_disc",
		"ipv4/ip_local_port_range", "ipv4/ip_local_reserved_ports", "ipv4/ip_unprivileged_port_start",
		"ipv4/ip_early_demux", "ipv4/ip_forward_use_pmtu", "ipv4/ip_forward_update_priority", "ipv4/fwmark_reflect",
		"ipv4/ping_group_range", "ipv4/fib_multipath_hash_policy", "ipv4/fib_multipath_use_neigh",
		"ipv4/nexthop_compat_mode",
		"ipv4/icmp_echo_ignore_all", "ipv4/icmp_echo_ignore_broadcasts", "ipv4/icmp_ratelimit",
		"ipv4/icmp_ratemask", "ipv4/icmp_errors_use_inbound_ifaddr", "ipv4/icmp_msgs_per_sec", "ipv4/icmp_msgs_burst",
		"ipv4/tcp_syncookies", "ipv4/tcp_l3mdev_accept", "ipv4/udp_l3mdev_accept", "ipv4/raw_l3mdev_accept",
		"ipv4/tcp_fwmark_accept", "ipv4/tcp_mtu_probing", "ipv4/tcp_base_mss", "ipv4/tcp_ecn", "ipv4/tcp_tw_reuse",
		"ipv4/tcp_max_syn_backlog", "ipv4/tcp_timestamps", "ipv4/tcp_abort_on_overflow", "ipv4/tcp_max_tw_buckets",
		"ipv4/neigh/default/gc_thresh1", "ipv4/neigh/default/gc_thresh2", "ipv4/neigh/default/gc_thresh3",
		"ipv4/route/mtu_expires", "ipv4/route/min_pmtu",
		"ipv4/vs/conntrack", "ipv4/vs/conn_reuse_mode", "ipv4/vs/expire_nodest_conn",
		"ipv4/vs/expire_quiescent_template", "ipv4/vs/snat_reroute", "ipv4/vs/run_estimation",
		"ipv6/bindv6only", "ipv6/ip_nonlocal_bind", "ipv6/fwmark_reflect", "ipv6/fib_multipath_hash_policy",
		"ipv6/icmp/echo_ignore_all", "ipv6/icmp/ratelimit", "ipv6/auto_flowlabels",
		"ipv6/neigh/default/gc_thresh1", "ipv6/neigh/default/gc_thresh2", "ipv6/neigh/default/gc_thresh3",
		"ipv6/route/max_size", "ipv6/flowlabel_consistency",
		"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables", "bridge/bridge-nf-call-arptables",
		"bridge/bridge-nf-filter-vlan-tagged", "bridge/bridge-nf-pass-vlan-input-dev", "bridge/bridge-nf-filter-pppoe-tagged",
		"netfilter/nf_conntrack_max", "netfilter/nf_conntrack_count", "netfilter/nf_conntrack_buckets",
		"netfilter/nf_conntrack_tcp_be_liberal", "netfilter/nf_conntrack_tcp_loose", "netfilter/nf_conntrack_helper",
		"netfilter/nf_conntrack_acct", "netfilter/nf_conntrack_checksum",
		"netfilter/nf_conntrack_tcp_timeout_established", "netfilter/nf_conntrack_udp_timeout",
		"netfilter/nf_conntrack_udp_timeout_stream", "netfilter/nf_log_all_netns",
	}
}

// sysctlReader reads files below /proc/sys/net, which shows the namespace of
// the thread that looks (net/sysctl_net.c:is_seen).
type sysctlReader struct {
	dir int
	buf []byte
}

// newSysctlReader opens /proc/sys/net in the namespace of the calling thread.
// The proof that it shows that namespace is Linux's; a /proc that is mounted
// from elsewhere may show none.
func newSysctlReader() (*sysctlReader, error) {
	fd, err := unix.Open("/proc/sys/net", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, netlinkError("opening /proc/sys/net", err)
	}
	return &sysctlReader{dir: fd, buf: make([]byte, 4096)}, nil
}

func (s *sysctlReader) close() { _ = unix.Close(s.dir) }

// read gives the value of one key without its newline.
func (s *sysctlReader) read(key string) (string, error) {
	fd, err := unix.Openat(s.dir, key, unix.O_RDONLY|unix.O_CLOEXEC, 0)
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

// readSysctls fills in the keys of the namespace and of the devices "all" and
// "default"; those of real devices are in out already, see decodeDevconf.
func readSysctls(ctx context.Context, out map[string]string) error {
	s, err := newSysctlReader()
	if err != nil {
		return err
	}
	defer s.close()
	keys := plainSysctls()
	for _, dev := range []string{"all", "default"} {
		for _, c := range devconf4() {
			keys = append(keys, "ipv4/conf/"+dev+"/"+c.key)
		}
		for _, c := range devconf6() {
			keys = append(keys, "ipv6/conf/"+dev+"/"+c.key)
		}
	}
	var refused error
	for i, key := range keys {
		if i%32 == 0 && ctx.Err() != nil {
			return fmt.Errorf("reading sysctls: %w", snap.ErrTimeout)
		}
		v, err := s.read(key)
		switch {
		case err == nil:
			out["net/"+key] = v
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			refused = netlinkError("reading sysctl net/"+key, err)
		}
	}
	return refused
}
