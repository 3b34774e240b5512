package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capabilities that read what the mode forbids (capabilities(7)).
const capReads = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH

// creds is as whom a process opens files: fs/namei.c: acl_permission_check.
type creds struct {
	uid, gid uint32
	groups   []uint32
	all      bool // whatever the mode says
}

// creds reads them (proc_pid_status(5): the fourth of Uid and Gid is the file
// system's); false when they can't be told.
func (p *proc) creds() (creds, bool) {
	b, err := os.ReadFile(filepath.Join(p.dir, "status"))
	if err != nil {
		return creds{}, false
	}
	var c creds
	known := 0
	for line := range strings.Lines(string(b)) {
		key, val, _ := strings.Cut(line, ":")
		words := strings.Fields(val)
		switch {
		case key == "Uid" && len(words) == 4:
			known++
			c.uid = number(words[3])
		case key == "Gid" && len(words) == 4:
			known++
			c.gid = number(words[3])
		case key == "CapEff" && len(words) == 1:
			known++
			caps, err := strconv.ParseUint(words[0], 16, 64)
			c.all = err != nil || caps&capReads != 0
		case key == "Groups":
			for _, w := range words {
				c.groups = append(c.groups, number(w))
			}
		}
	}
	return c, known == 3
}

// number is a user or group id; nobody's where it is none.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return ^uint32(0)
	}
	return uint32(n)
}

// may says whether the mode gives one of the bits (4 read, 1 search) to them:
// who owns a file is not asked for its group's bits, nor its group for others'.
func (c *creds) may(st *unix.Stat_t, bit uint32) bool {
	switch {
	case c.all:
		return true
	case st.Uid == c.uid:
		return st.Mode>>6&bit != 0
	case st.Gid == c.gid || slices.Contains(c.groups, st.Gid):
		return st.Mode>>3&bit != 0
	}
	return st.Mode&bit != 0
}

// denied says why the process may not read a file below its root: what its mode
// and those of the directories above say; "" when it may, or when an ACL may say
// otherwise.
func (p *proc) denied(root int, name string) string {
	c, ok := p.creds()
	if !ok || c.all {
		return ""
	}
	dirs := []string{"."}
	for i := range name {
		if name[i] == '/' {
			dirs = append(dirs, name[:i])
		}
	}
	for _, at := range append(dirs, name) {
		fd, err := openBelow(root, at, unix.O_PATH)
		if err != nil {
			return ""
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		_, acl := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), "system.posix_acl_access", nil)
		_ = unix.Close(fd)
		bit := uint32(4)
		if at != name {
			bit = 1
		}
		if err != nil || acl == nil {
			return ""
		}
		if !c.may(&st, bit) {
			return fmt.Sprintf("%s has mode %04o and belongs to %d:%d, its process runs as %d:%d", filepath.Join("/", at), st.Mode&0o7777, st.Uid, st.Gid, c.uid, c.gid)
		}
	}
	return ""
}
