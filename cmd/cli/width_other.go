//go:build !unix

package cli

import "os"

// columns is the terminal's width: not known here.
func columns(*os.File) int { return 0 }
