//go:build !linux

package engine

import "github.com/netdoctor/netdoctor/inspect/snap"

// readRoot can't read anything here: there are no containers in this kernel.
func readRoot(rootRequest) rootAnswer {
	return rootAnswer{Kind: snap.Kind(snap.ErrUnsupported), Err: snap.ErrUnsupported.Error()}
}
