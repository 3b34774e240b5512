package dockerapi

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerPID is the process that made the other end of a unix connection listen
// (SO_PEERCRED): dockerd, or systemd where it handed the socket over. 0 when it
// is in a pid namespace that can't be seen, or the connection is none.
func peerPID(c net.Conn) int {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}
