//go:build unix

package kannel

import (
	"os"
	"syscall"
)

// keepOwner gives a new file the owner of the one that it takes the place of.
func keepOwner(f *os.File, like string) error {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(s.Uid) == os.Geteuid() && int(s.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(s.Uid), int(s.Gid))
}
