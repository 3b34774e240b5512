//go:build !linux

package main

import (
	"context"

	"github.com/netdoctor/netdoctor/cmd/cli"
)

// labs is nil: there are no network namespaces here.
func labs() cli.Lab { return nil }

func insideLab(context.Context) (int, bool) { return 0, false }

func rootless() func(context.Context, []string, bool) (int, error) { return nil }
