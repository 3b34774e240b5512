package engine

import (
	"io/fs"
	"syscall"
)

// ownerOf is the uid that owns a file; -1 unknown.
func ownerOf(st fs.FileInfo) int {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
