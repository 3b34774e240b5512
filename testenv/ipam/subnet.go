package ipam

import (
	"fmt"
	"net/netip"
)

// Subnet is a block of which addresses are given out.
type Subnet struct {
	Prefix  netip.Prefix
	Range   netip.Prefix // zero: the whole Prefix
	Gateway netip.Addr   // zero: not chosen yet
}

// Check says what is wrong with a subnet as asked for.
func (s Subnet) Check() error {
	switch {
	case !s.Prefix.IsValid():
		return fmt.Errorf("no subnet is given")
	case s.Prefix != s.Prefix.Masked():
		return fmt.Errorf("subnet %s has host bits set; %s is meant", s.Prefix, s.Prefix.Masked())
	case s.Range.IsValid() && (s.Range.Bits() < s.Prefix.Bits() || !s.Prefix.Contains(s.Range.Addr())):
		return fmt.Errorf("range %s does not lie within subnet %s", s.Range, s.Prefix)
	case s.Gateway.IsValid() && !s.Prefix.Contains(s.Gateway):
		return fmt.Errorf("gateway %s does not lie within subnet %s", s.Gateway, s.Prefix)
	case s.Gateway.IsValid() && s.edge(s.Gateway):
		return fmt.Errorf("gateway %s is the network's or the broadcast address of %s", s.Gateway, s.Prefix)
	}
	return nil
}

// edge says whether an address is that of the network itself, or IPv4's
// broadcast address; blocks of two addresses or one have neither.
func (s Subnet) edge(a netip.Addr) bool {
	if s.Prefix.Bits() >= s.Prefix.Addr().BitLen()-1 {
		return false
	}
	return a == s.Prefix.Masked().Addr() || a.Is4() && a == last(s.Prefix)
}

// First is the address that a gateway gets when none is asked for: the lowest
// of the subnet, whatever the range is.
func (s Subnet) First(taken func(netip.Addr) bool) (netip.Addr, error) {
	return Subnet{Prefix: s.Prefix}.Lowest(taken)
}

// Lowest is the lowest free address of the range.
func (s Subnet) Lowest(taken func(netip.Addr) bool) (netip.Addr, error) {
	r := s.Range
	if !r.IsValid() {
		r = s.Prefix
	}
	end := last(r)
	for a := r.Masked().Addr(); a.IsValid() && !end.Less(a); a = a.Next() {
		if !s.edge(a) && a != s.Gateway && !taken(a) {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("addresses of %s: %w", r, ErrExhausted)
}

// Static checks an address that was asked for. It may lie outside of the range.
func (s Subnet) Static(a netip.Addr, taken func(netip.Addr) bool) error {
	switch {
	case !s.Prefix.Contains(a):
		return fmt.Errorf("address %s does not lie within subnet %s", a, s.Prefix)
	case s.edge(a):
		return fmt.Errorf("address %s is the network's or the broadcast address of %s", a, s.Prefix)
	case a == s.Gateway:
		return fmt.Errorf("address %s is the gateway's", a)
	case taken(a):
		return fmt.Errorf("address %s is in use already", a)
	}
	return nil
}

// Overlap is the first of others that shares addresses with p.
func Overlap(p netip.Prefix, others []netip.Prefix) (netip.Prefix, bool) {
	for _, o := range others {
		if o.Overlaps(p) {
			return o, true
		}
	}
	return netip.Prefix{}, false
}
