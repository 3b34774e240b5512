package snap

import "net/netip"

// What only networks of our own tell of themselves: what was chosen when they
// were made, so that all of it can be worked out again (testenv/driver).

// OwnEngine is what all of them on a host have in common.
type OwnEngine struct {
	Name   string `json:"name"` // in owner marks: netdoctor:NAME
	Gen    string `json:"gen"`  // whose rules are written: "20.10", "29-iptables", "29-nftables"
	Dir    string `json:"dir"`  // where state and namespaces' files are
	System System `json:"system,omitempty"`
	// Frame4 and Frame6 say for which families chains and jumps were made.
	Frame4 bool `json:"frame4"`
	Frame6 bool `json:"frame6"`
	// Drop4 and Drop6 say that FORWARD's policy was set to DROP, as forwarding was
	// off before.
	Drop4 bool `json:"drop4,omitempty"`
	Drop6 bool `json:"drop6,omitempty"`
}

// OwnNetwork is what was chosen for a network.
type OwnNetwork struct {
	Seq int `json:"seq"` // of its creation, from 1
	// SNAT is the host's address that replaces senders', zero for masquerading.
	SNAT netip.Addr `json:"snat,omitzero"`
	// Trusted are devices from which containers may be reached directly.
	Trusted []string `json:"trusted,omitempty"`
	MAC     string   `json:"mac,omitempty"`    // of the bridge; "" the kernel's choice
	Prefix  string   `json:"prefix,omitempty"` // of devices in containers; "" is eth
	// Local and Peers are of overlay networks: this host's address, and other
	// hosts' containers with the host that each is on.
	Local netip.Addr                `json:"local,omitzero"`
	Peers map[netip.Addr]netip.Addr `json:"peers,omitempty"`
	// GatewayGiven says that somebody asked for that gateway.
	GatewayGiven bool `json:"gatewayGiven,omitempty"`
	// Hidden networks belong to another one (an overlay's way out).
	Hidden bool `json:"hidden,omitempty"`
}

// OwnContainer is what was chosen for a container.
type OwnContainer struct {
	Seq int `json:"seq"`
	// DNSPort is where the embedded resolver listens in it, on 127.0.0.11; 0:
	// it has none.
	DNSPort uint16 `json:"dnsPort,omitempty"`
	// Balanced is what was built in it for services' virtual addresses.
	Balanced string `json:"balanced,omitempty"`
	// Order is each endpoint's place in the order of joining, by network.
	Order map[string]int `json:"order,omitempty"`
	// Priority is each endpoint's gw-priority, by network.
	Priority map[string]int `json:"priority,omitempty"`
}
