//go:build unix && !aix && !android && !openbsd && !solaris

package store

import (
	"os"
	"syscall"
)

// shareLock opens what f has open once more. Both have the one lock, which bbolt
// takes by flock here: it is held until both are closed, or one unlocks it.
func shareLock(f *os.File) (*os.File, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// relock locks what a failed use of shareLock may have unlocked.
func relock(f *os.File) error {
	return os.NewSyscallError("flock", syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
}
