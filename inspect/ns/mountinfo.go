package ns

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// nsMounts picks the network namespaces out of a mountinfo file (proc(5)): lines
// whose file system is nsfs and whose root is "net:[INODE]", each with its mount
// point as its mount namespace calls it, still escaped. Lines that are not
// understood are passed over. It makes nothing: of a thousand mount namespaces
// that were copied from the host's, each has a thousand of these.
func nsMounts(mountinfo []byte) iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		for line := range bytes.Lines(mountinfo) {
			// Cheap test first: a container has dozens of mounts and none of these.
			at := bytes.Index(line, []byte(" net:["))
			if at < 0 || bytes.Count(line[:at], []byte(" ")) != 2 { // the root is the fourth field
				continue
			}
			root, rest, _ := bytes.Cut(line[at+1:], []byte(" "))
			point, rest, _ := bytes.Cut(rest, []byte(" "))
			// After the six fixed fields come optional ones, then "-".
			if len(point) == 0 || !bytes.Contains(rest, []byte(" - nsfs ")) {
				continue
			}
			if inode, ok := netInode(string(root)); ok && !yield(inode, point) {
				return
			}
		}
	}
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
