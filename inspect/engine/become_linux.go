package engine

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// becomeOnThread gives what this goroutine opens from now on the powers of a user, and of
// no group. It is for a goroutine that ends afterwards, and its thread with it
// (setfsuid(2): the capabilities over files go along).
func becomeOnThread(uid int) error {
	runtime.LockOSThread()
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 { // syscall.Setgroups is for all threads
		return fmt.Errorf("leaving all groups: %w", e)
	}
	const nogroup = 65534
	if _, err := unix.SetfsgidRetGid(nogroup); err != nil {
		return fmt.Errorf("taking a group of no files: %w", err)
	}
	if _, err := unix.SetfsuidRetUid(uid); err != nil {
		return fmt.Errorf("taking the user's id: %w", err)
	}
	if now, err := unix.SetfsuidRetUid(uid); err != nil || now != uid {
		return fmt.Errorf("the user's id was not taken: %w", unix.EPERM)
	}
	return nil
}
