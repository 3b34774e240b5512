//go:build !linux

package ns

// freezers are nowhere here.
type freezers struct{}

// Frozen is always false here.
func (p *Procs) Frozen(int) bool { return false }
