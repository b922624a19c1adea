package repo

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/go-git/go-billy/v5"
)

// boundedFS is a file system in which only so many bytes can be written.
type boundedFS struct {
	billy.Filesystem
	left *atomic.Int64
	most int64
}

func (b *boundedFS) file(f billy.File, err error) (billy.File, error) {
	if err != nil {
		return nil, err
	}
	return &boundedFile{f, b}, nil
}

// Create implements billy.Basic.
func (b *boundedFS) Create(name string) (billy.File, error) { return b.file(b.Filesystem.Create(name)) }

// OpenFile implements billy.Basic.
func (b *boundedFS) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	return b.file(b.Filesystem.OpenFile(name, flag, perm))
}

// TempFile implements billy.TempFile.
func (b *boundedFS) TempFile(dir, prefix string) (billy.File, error) {
	return b.file(b.Filesystem.TempFile(dir, prefix))
}

// Chroot implements billy.Chroot.
func (b *boundedFS) Chroot(path string) (billy.Filesystem, error) {
	f, err := b.Filesystem.Chroot(path)
	if err != nil {
		return nil, err
	}
	return &boundedFS{f, b.left, b.most}, nil
}

// Capabilities implements billy.Capable.
func (b *boundedFS) Capabilities() billy.Capability { return billy.Capabilities(b.Filesystem) }

type boundedFile struct {
	billy.File
	fs *boundedFS
}

// Write implements io.Writer.
func (b *boundedFile) Write(p []byte) (int, error) {
	if b.fs.left.Add(-int64(len(p))) < 0 {
		return 0, fmt.Errorf("want a repository of at most %d bytes, got more: keep the policy in one of its own", b.fs.most)
	}
	return b.File.Write(p)
}
