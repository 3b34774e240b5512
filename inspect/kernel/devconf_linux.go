package kernel

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// devconf is one per-device setting and its place in the arrays that
// RTM_NEWLINK carries in IFLA_AF_SPEC. The places are part of the kernel's
// ABI: linux/ip.h IPV4_DEVCONF_* less one, linux/ipv6.h DEVCONF_*.
type devconf struct {
	at  int
	key string
}

// devconf4 are the IPv4 settings that decide about packets or explain them.
func devconf4() []devconf {
	return []devconf{
		{0, "forwarding"},
		{2, "proxy_arp"},
		{3, "accept_redirects"},
		{4, "secure_redirects"},
		{5, "send_redirects"},
		{6, "shared_media"},
		{7, "rp_filter"},
		{8, "accept_source_route"},
		{10, "log_martians"},
		{12, "arp_filter"},
		{14, "disable_xfrm"},
		{15, "disable_policy"},
		{17, "arp_announce"},
		{18, "arp_ignore"},
		{19, "promote_secondaries"},
		{20, "arp_accept"},
		{21, "arp_notify"},
		{22, "accept_local"},
		{23, "src_valid_mark"},
		{24, "proxy_arp_pvlan"},
		{25, "route_localnet"},
		{28, "ignore_routes_with_linkdown"},
		{29, "drop_unicast_in_l2_multicast"},
		{31, "bc_forwarding"},
	}
}

// devconf6 are the IPv6 ones.
func devconf6() []devconf {
	return []devconf{
		{0, "forwarding"},
		{1, "hop_limit"},
		{2, "mtu"},
		{3, "accept_ra"},
		{4, "accept_redirects"},
		{5, "autoconf"},
		{10, "use_tempaddr"},
		{17, "accept_ra_defrtr"},
		{18, "accept_ra_pinfo"},
		{22, "proxy_ndp"},
		{24, "accept_source_route"},
		{26, "disable_ipv6"},
		{27, "accept_dad"},
		{37, "use_oif_addrs_only"},
		{39, "ignore_routes_with_linkdown"},
		{40, "drop_unicast_in_l2_multicast"},
		{47, "addr_gen_mode"},
		{48, "disable_policy"},
		{59, "force_forwarding"}, // the last since Linux 6.17
	}
}

// decodeDevconf reads the settings of one device out of IFLA_AF_SPEC
// (net/ipv4/devinet.c:inet_fill_link_af, net/ipv6/addrconf.c:ipv6_store_devconf).
// A device without IPv4 or IPv6 has none of that family.
func decodeDevconf(dev string, afSpec []byte, conf map[string]string) {
	for af, v := range rtattrs(afSpec) {
		switch af {
		case unix.AF_INET:
			for t, v := range rtattrs(v) {
				if t == unix.IFLA_INET_CONF {
					storeDevconf("net/ipv4/conf/"+dev+"/", devconf4(), v, conf)
				}
			}
		case unix.AF_INET6:
			for t, v := range rtattrs(v) {
				if t == unix.IFLA_INET6_CONF {
					storeDevconf("net/ipv6/conf/"+dev+"/", devconf6(), v, conf)
				}
			}
		}
	}
}

func storeDevconf(prefix string, list []devconf, b []byte, conf map[string]string) {
	for _, c := range list {
		if at := 4 * c.at; at+4 <= len(b) {
			conf[prefix+c.key] = strconv.Itoa(intOf(b[at:]))
		}
	}
}
