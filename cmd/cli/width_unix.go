//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// columns is the terminal's width; 0 when it does not say.
func columns(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(ws.Col)
}
