package snap

import "net/netip"

// Xfrm is what IPsec is told to do in a namespace (ip-xfrm(8)).
type Xfrm struct {
	Policies []XfrmPolicy `json:"policies"` // as dumped, the newest first; of one direction the lowest Priority counts first
	States   []XfrmState  `json:"states,omitempty"`
	// Block are the directions whose packets are dropped where no policy says
	// otherwise (ip xfrm policy setdefault).
	Block []string `json:"block,omitempty"`
}

// XfrmPolicy says of some packets that they pass, are dropped, or must be wrapped.
type XfrmPolicy struct {
	Family   Family       `json:"family"`
	Dir      string       `json:"dir"` // "in", "out", "fwd"
	Src      netip.Prefix `json:"src"`
	Dst      netip.Prefix `json:"dst"`
	Proto    uint8        `json:"proto,omitempty"` // 0 any
	Sport    [2]uint16    `json:"sport,omitzero"`  // value and mask
	Dport    [2]uint16    `json:"dport,omitzero"`
	Oif      int          `json:"oif,omitempty"` // ifindex; 0 any
	Index    uint32       `json:"index"`
	Priority uint32       `json:"priority"`
	Block    bool         `json:"block,omitempty"`
	Mark     uint32       `json:"mark,omitempty"`
	Mask     uint32       `json:"mask,omitempty"`
	IfID     uint32       `json:"ifID,omitempty"` // of an xfrm device; 0 none
	// Templates are the wrappings that are asked for, one around the other.
	Templates []XfrmTemplate `json:"templates,omitempty"`
}

// XfrmTemplate is one wrapping.
type XfrmTemplate struct {
	Src      netip.Addr `json:"src"` // unspecified in transport mode: the packet's own
	Dst      netip.Addr `json:"dst"`
	Proto    string     `json:"proto"` // "esp", "ah", "comp" or the number
	Mode     string     `json:"mode"`  // "transport", "tunnel", "beet" or the number
	ReqID    uint32     `json:"reqID,omitempty"`
	SPI      uint32     `json:"spi,omitempty"`
	Optional bool       `json:"optional,omitempty"` // "level use"
}

// XfrmState is a security association. Its keys are not read.
type XfrmState struct {
	Src   netip.Addr `json:"src"`
	Dst   netip.Addr `json:"dst"`
	Proto string     `json:"proto"`
	Mode  string     `json:"mode"`
	SPI   uint32     `json:"spi,omitempty"` // 0: not negotiated yet
	ReqID uint32     `json:"reqID,omitempty"`
}

// Ready says whether there is an association that a template can be filled with, for
// a packet between these addresses (net/xfrm/xfrm_state.c: xfrm_state_look_at).
func (x *Xfrm) Ready(t XfrmTemplate, src, dst netip.Addr) bool {
	if !t.Src.IsValid() || t.Src.IsUnspecified() {
		t.Src = src
	}
	if !t.Dst.IsValid() || t.Dst.IsUnspecified() {
		t.Dst = dst
	}
	for _, s := range x.States {
		if s.SPI != 0 && s.Dst == t.Dst && (s.Src == t.Src || s.Src.IsUnspecified()) && s.Proto == t.Proto && s.Mode == t.Mode && (t.ReqID == 0 || s.ReqID == t.ReqID) && (t.SPI == 0 || s.SPI == t.SPI) {
			return true
		}
	}
	return false
}
