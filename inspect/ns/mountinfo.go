package ns

import (
	"bytes"
	"strconv"
	"strings"
)

// nsMount is one bind mount of a network namespace.
type nsMount struct {
	inode uint64
	path  string // the mount point, as its mount namespace calls it
}

// nsMounts picks the network namespaces out of a mountinfo file (proc(5)):
// lines whose file system is nsfs and whose root is "net:[INODE]". Lines that
// are not understood are passed over.
func nsMounts(mountinfo []byte) []nsMount {
	var out []nsMount
	for line := range bytes.Lines(mountinfo) {
		// Cheap test first: a container has dozens of mounts and none of these.
		if !bytes.Contains(line, []byte(" net:[")) {
			continue
		}
		f := strings.Fields(string(line))
		if len(f) < 7 {
			continue
		}
		sep := 6 // after the six fixed fields come optional ones, then "-"
		for sep < len(f) && f[sep] != "-" {
			sep++
		}
		if sep+1 >= len(f) || f[sep+1] != "nsfs" {
			continue
		}
		inode, ok := netInode(f[3])
		if !ok {
			continue
		}
		out = append(out, nsMount{inode: inode, path: Unescape(f[4])})
	}
	return out
}

// netInode reads "net:[4026531840]", as the kernel names a namespace
// (fs/nsfs.c:ns_get_name).
func netInode(s string) (uint64, bool) {
	return nsInode(s, "net")
}

func nsInode(s, kind string) (uint64, bool) {
	s, ok := strings.CutPrefix(s, kind+":[")
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, "]")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// Unescape undoes the octal escapes of blanks, newlines and backslashes in
// mountinfo (fs/proc_namespace.c:mangle).
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
