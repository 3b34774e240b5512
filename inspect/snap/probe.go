package snap

import (
	"net/netip"
	"time"
)

// The outcomes of a probe.
const (
	Answered   = "answered"
	Refused    = "refused"    // RST or port unreachable of the destination itself
	Rejected   = "rejected"   // an ICMP error or RST of somebody else
	TimedOut   = "timeout"    // nothing came back
	Unroutable = "unroutable" // our own stack would not send it
	Failed     = "error"      // the probe itself did not work; then it proves nothing
)

// Probe is one live question and what came back. A probe that was not sent
// because it was not allowed is a Gap, not a Probe.
type Probe struct {
	ID   int    `json:"id"`   // its index in Snapshot.Probes plus one
	Kind string `json:"kind"` // "tcp", "udp", "icmp", "arp", "neigh", "dns", "http", "router", "whole"
	From string `json:"from"` // Netns.ID that it was sent from
	// In is the device by which it came in, as if somebody beyond this host had sent
	// it; "" for one that was sent.
	In string `json:"in,omitempty"`
	// Via is the neighbour that a question of kind "router" was handed to, whatever
	// the routes say; zero for all others.
	Via netip.Addr `json:"via,omitzero"`
	// Src is the source it had (port 0 for ICMP and ARP), Dst what was asked.
	Src     netip.AddrPort `json:"src,omitzero"`
	Dst     netip.AddrPort `json:"dst"`
	Size    int            `json:"size,omitempty"` // payload bytes beyond the default
	DF      bool           `json:"df,omitempty"`
	Sent    int            `json:"sent"`            // packets or questions
	Got     int            `json:"got"`             // answers
	Outcome string         `json:"outcome"`         // Answered …
	Errno   string         `json:"errno,omitempty"` // "ECONNREFUSED", "ENETUNREACH" …
	Detail  string         `json:"detail,omitempty"`
	By      netip.Addr     `json:"by,omitzero"` // who sent the ICMP error
	ICMP    *ICMPInfo      `json:"icmp,omitempty"`
	MAC     string         `json:"mac,omitempty"` // ARP: who has it; several holders are separated by a comma
	// Strange is who answered in the place of the one that was asked: no program
	// takes such an answer.
	Strange netip.AddrPort `json:"strange,omitzero"`
	RTTMs   float64        `json:"rttMs,omitempty"`
	At      time.Time      `json:"at"`
	DNS     *DNSProbe      `json:"dns,omitempty"`
	// Watched says that the kernel was asked to tell of its packets: that Seen
	// holds none of a namespace then means that none came there.
	Watched bool `json:"watched,omitempty"`
	// Seen are its packets on their way, in order. Died is the one of them that
	// was the end: nothing was seen of the probe afterwards. nil: it did not die
	// here, or nobody saw it.
	Seen []Seen `json:"seen,omitempty"`
	Died *Seen  `json:"died,omitempty"`
	// Counted are the counters that grew by exactly what was sent.
	Counted []Counted `json:"counted,omitempty"`
	// Ruled are the rules that a packet of the same flow met, in order.
	Ruled []Ruled `json:"ruled,omitempty"`
}

// ICMPInfo is type and code of an ICMP error.
type ICMPInfo struct {
	Type uint8 `json:"type"`
	Code uint8 `json:"code"`
	MTU  int   `json:"mtu,omitempty"` // next hop's, of "fragmentation needed"
}

// DNSProbe is one DNS question put to one server.
type DNSProbe struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"` // "A", "AAAA", "PTR" …
	TCP     bool     `json:"tcp,omitempty"`
	EDNS    bool     `json:"edns,omitempty"`  // EDNS(0) was announced
	RCode   string   `json:"rcode,omitempty"` // "NOERROR", "NXDOMAIN", "SERVFAIL" …; "" when nothing came
	Answers []string `json:"answers"`         // "A 172.30.1.12", in the order of the message
	TTL     uint32   `json:"ttl,omitempty"`   // smallest of the answers
	AA      bool     `json:"aa,omitempty"`
	RA      bool     `json:"ra,omitempty"`
	TC      bool     `json:"tc,omitempty"`
	// Bad says what was wrong with answers that were thrown away: "id",
	// "question", "source", "malformed".
	Bad []string `json:"bad,omitempty"`
}

// Gap is something that could not be read or asked.
type Gap struct {
	What  string `json:"what"`            // the noun: "ruleset", "conntrack", "docker", "resolv.conf" …
	Netns string `json:"netns,omitempty"` // Netns.ID, "" when it is not of one
	Ref   Ref    `json:"ref,omitempty"`   // more exactly where, if known
	Kind  string `json:"kind"`            // "permission", "not-found", "unsupported", "tool", "torn", "timeout", "vanished", "limit", "other"
	Why   string `json:"why"`             // the error in words
	// Needs is what it would take: "run as root", "CAP_SYS_PTRACE", "install nftables". "" nothing helps.
	Needs string `json:"needs,omitempty"`
}
