//go:build !linux

package engine

import "github.com/netdoctor/netdoctor/inspect/snap"

// becomeOnThread has nothing to become here.
func becomeOnThread(int) error { return snap.ErrUnsupported }
