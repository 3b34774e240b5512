//go:build !linux

package ns

// TunReaders are none here.
func (p *Procs) TunReaders() []TunReader { return nil }
