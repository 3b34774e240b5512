package rules

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// payloadOp reads or writes bytes of the packet (net/netfilter/nft_payload.c).
type payloadOp struct{ *snap.Payload }

func (o payloadOp) exec(m *machine) ctl {
	if o.Dreg == snap.NoReg && o.Sreg != snap.NoReg {
		return o.write(m)
	}
	if o.Len <= 0 || o.Len > 64 || o.Dreg < 0 || o.Offset < 0 {
		return m.unknown("payload")
	}
	var b, k [64]byte
	in, sure := o.read(m, b[:o.Len], k[:o.Len])
	switch {
	case !in && sure:
		return leave
	case !sure:
		t := unsure("whether the packet is long enough for " + o.what())
		m.forget(o.Dreg, o.Len, o.what())
		if in {
			m.storeMasked(o.Dreg, b[:o.Len], k[:o.Len], o.what())
		}
		return m.ask(t)
	}
	why := ""
	if !allKnown(k[:o.Len]) {
		why = o.what()
	}
	m.storeMasked(o.Dreg, b[:o.Len], k[:o.Len], why)
	return goOn
}

func (o payloadOp) what() string {
	return "bytes " + strconv.Itoa(o.Offset) + " to " + strconv.Itoa(o.Offset+o.Len-1) + " of the " + baseName(o.Base) + " header"
}

func baseName(base string) string {
	switch base {
	case "ll":
		return "link"
	case "nh":
		return "network"
	case "th":
		return "transport"
	}
	return base
}

// read copies the bytes; see view.get for what it says.
func (o payloadOp) read(m *machine, b, k []byte) (in, sure bool) {
	switch o.Base {
	case "ll":
		lb, lk, ok, known := m.pkt.link()
		switch {
		case !known:
			return false, false
		case !ok:
			return false, true
		}
		if o.Offset+len(b) <= len(lb) {
			copy(b, lb[o.Offset:])
			copy(k, lk[o.Offset:])
			return true, true
		}
		// Past the link header comes the network header.
		v := m.header()
		for i := range b {
			at := o.Offset + i
			if at < len(lb) {
				b[i], k[i] = lb[at], lk[at]
				continue
			}
			if in, sure := v.get(at-len(lb), b[i:i+1], k[i:i+1]); !in || !sure {
				return in, sure
			}
		}
		return true, true
	case "nh":
		return m.header().get(o.Offset, b, k)
	case "th":
		if !m.pkt.isIP() || m.pkt.Frag {
			return false, true
		}
		v := m.header()
		return v.get(v.th+o.Offset, b, k)
	case "inner":
		if !m.pkt.isIP() || m.pkt.Frag || m.pkt.Proto != snap.IPProtoTCP && m.pkt.Proto != snap.IPProtoUDP {
			return false, true
		}
		v := m.header()
		if v.pay == 0 {
			return true, false
		}
		return v.get(v.pay+o.Offset, b, k)
	}
	return true, false
}
