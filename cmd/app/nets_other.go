//go:build !linux

package app

// newNets is nil: there are no network namespaces here.
func newNets() Nets { return nil }
