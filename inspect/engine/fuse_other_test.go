//go:build !linux

package engine

import "github.com/netdoctor/netdoctor/inspect/snap"

const hangArg = "--hang"

func hang(string) error { return snap.ErrUnsupported }
