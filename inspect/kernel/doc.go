// Package kernel reads one network namespace out of the kernel, one noun a
// file: links, addresses, policy rules, routes, neighbours, forwarding
// entries, traffic control, sysctls, sockets, connection tracking, IPVS and
// rule sets. It decodes netlink itself: the libraries leave out attributes
// that decide a packet's fate (bridge port state, l3mdev rules, nexthop
// objects), and reading a thousand namespaces must cost little more than the
// dumps themselves.
//
// House rules of these files: decoders are functions of bytes and never fail
// on attributes that they do not know; what is too short is passed over; no
// decoder keeps a slice of the receive buffer.
package kernel
