//go:build !linux

package ns

// freezers are nowhere here.
type freezers struct{}

// FrozenBy is always nil here.
func (p *Procs) FrozenBy(int) []string { return nil }

// FrozenBy is always nil here.
func FrozenBy(int) []string { return nil }
