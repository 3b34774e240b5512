package probe

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ednsSize is the UDP size announced with EDNS: what passes IPv6's smallest
// MTU unfragmented (DNS flag day 2020).
const ednsSize = 1232

// query builds one question with a random id.
func query(o Options) (*dns.Msg, error) {
	name, typ := dns.Fqdn(o.Name), o.Type
	if typ == "" {
		typ = "A"
	}
	qtype, ok := dns.StringToType[strings.ToUpper(typ)]
	if !ok {
		return nil, fmt.Errorf("DNS type %q: %w", typ, snap.ErrUnsupported)
	}
	if _, ok := dns.IsDomainName(name); !ok || o.Name == "" {
		return nil, fmt.Errorf("%q is no domain name: %w", o.Name, snap.ErrUnsupported)
	}
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	var id [2]byte
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails since Go 1.24
	m.Id = binary.BigEndian.Uint16(id[:])
	if o.EDNS {
		m.SetEdns0(ednsSize, false)
	}
	return m, nil
}

// check parses a message as the answer to q; bad says why it can't be: "id",
// "question", "malformed".
func check(q *dns.Msg, b []byte) (m *dns.Msg, bad string) {
	if len(b) >= 2 && binary.BigEndian.Uint16(b) != q.Id {
		return nil, "id"
	}
	m = new(dns.Msg)
	if err := m.Unpack(b); err != nil && !m.Truncated {
		return nil, "malformed"
	}
	switch {
	case !m.Response:
		return nil, "malformed"
	case len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return m, "" // servers that understood nothing may leave the question out (RFC 1035, 4.1.1: FORMERR)
	case len(m.Question) != 1 || !strings.EqualFold(m.Question[0].Name, q.Question[0].Name) ||
		m.Question[0].Qtype != q.Question[0].Qtype || m.Question[0].Qclass != q.Question[0].Qclass:
		return nil, "question"
	}
	return m, ""
}

// fill puts an accepted answer into the probe.
func fill(d *snap.DNSProbe, m *dns.Msg) {
	d.RCode = dns.RcodeToString[m.Rcode]
	if d.RCode == "" {
		d.RCode = fmt.Sprintf("RCODE%d", m.Rcode)
	}
	d.AA, d.RA, d.TC = m.Authoritative, m.RecursionAvailable, d.TC || m.Truncated
	d.Answers, d.TTL = make([]string, 0, len(m.Answer)), 0
	for i, rr := range m.Answer {
		h := rr.Header()
		d.Answers = append(d.Answers, dns.Type(h.Rrtype).String()+" "+strings.TrimPrefix(rr.String(), h.String()))
		if i == 0 || h.Ttl < d.TTL {
			d.TTL = h.Ttl
		}
	}
}
