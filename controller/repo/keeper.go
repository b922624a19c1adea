package repo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// copied is a commit that lies in a folder of its own, a bare repository. What is exported is kept in a record beside it.
type copied struct {
	URL       string    `json:"url"`
	Ref       string    `json:"ref"` // as it was asked for
	Tip       string    `json:"tip"` // what the ref stood at: the commit, or a tag of it
	Commit    string    `json:"commit"`
	Folder    string    `json:"folder"` // below the keeper's
	FetchedAt time.Time `json:"fetched_at"`
	CheckedAt time.Time `json:"checked_at"` // when the remote's ref last stood there

	signer  string
	ignored []string
}

// keeper keeps one copy, that of the last good commit: each fetch goes into a new folder, so that a force push, a broken
// fetch or a kill harms nothing that is in use, and no history piles up.
type keeper struct {
	dir  string
	url  string
	ref  string
	most int64 // bytes that a fetch may write
	log  *slog.Logger
	last *copied // the record on disk, once read; nil: none
	read bool
}

const recordFile = "current.json"

// maxCopy bounds what a fetch may write to disk, in bytes.
const maxCopy = 256 << 20

// record is the copy that is kept of this URL and ref, or nil.
func (k *keeper) record() *copied {
	if c := k.stored(); c != nil && c.URL == k.url && c.Ref == k.ref {
		return c
	}
	return nil
}

// stored is the copy that is kept, of whatever source, or nil.
func (k *keeper) stored() *copied {
	if k.read {
		return k.last
	}
	k.read = true
	data, err := readSecret(filepath.Join(k.dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var c copied
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil && (!wholeCommit.MatchString(c.Commit) || !filepath.IsLocal(c.Folder)) {
		err = errors.New("want a commit and a folder, got other words")
	}
	if err != nil {
		k.log.Warn("kept copy unreadable", "file", filepath.Join(k.dir, recordFile), "err", err)
		return nil
	}
	k.last = &c
	return k.last
}

func (k *keeper) path(c *copied) string { return filepath.Join(k.dir, c.Folder) }

// begin makes a new folder for a fetch.
func (k *keeper) begin(t tip) (*copied, error) {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make room for the policy: %w", err)
	}
	k.sweep()
	folder, err := os.MkdirTemp(k.dir, short(t.hash)+"-")
	if err != nil {
		return nil, fmt.Errorf("make room for the policy: %w", err)
	}
	return &copied{URL: k.url, Ref: k.ref, Folder: filepath.Base(folder)}, nil
}

// discard removes the folder of a copy that is not to be kept.
func (k *keeper) discard(c *copied) {
	if err := os.RemoveAll(k.path(c)); err != nil {
		k.log.Warn("fetched copy not removed", "file", k.path(c), "err", err)
	}
}

// adopt makes c the copy that is kept: first its files become durable, then the record that names them, and then the
// others go.
func (k *keeper) adopt(c *copied) error {
	if err := syncAll(k.path(c)); err != nil {
		return err
	}
	if err := k.write(c, true); err != nil {
		return err
	}
	k.last, k.read = c, true
	k.sweep()
	return nil
}

// sweep removes whatever is neither the kept copy nor its record: older copies, and what a kill left behind.
func (k *keeper) sweep() {
	kept := k.stored()
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		k.log.Warn("copies not swept", "file", k.dir, "err", err)
	}
	for _, e := range entries {
		if e.Name() != recordFile && (kept == nil || e.Name() != kept.Folder) {
			k.discard(&copied{Folder: e.Name()})
		}
	}
}

// confirm notes that the remote's ref still stands at the copy.
func (k *keeper) confirm(hash string, now time.Time) {
	c := k.record()
	if c == nil || c.Tip != hash {
		return
	}
	c.CheckedAt = now.Round(0).UTC()
	if err := k.write(c, false); err != nil {
		k.log.Warn("copy not confirmed", "file", k.path(c), "err", err)
	}
}

// write replaces the record, as a whole.
func (k *keeper) write(c *copied, durable bool) (err error) {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(k.dir, recordFile+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name()) // it may be gone
		}
	}()
	_, err = f.Write(append(data, '\n'))
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(k.dir, recordFile)); err == nil && durable {
		err = syncFile(k.dir)
	}
	return err
}

func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFile(name)
	})
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// storage is the repository of a copy.
func (k *keeper) storage(c *copied) *filesystem.Storage {
	return storageIn(osfs.New(k.path(c), osfs.WithBoundOS()))
}

// bounded is the repository of a copy that a fetch writes to, as much as it may.
func (k *keeper) bounded(c *copied) *filesystem.Storage {
	left := new(atomic.Int64)
	left.Store(k.most)
	s := storageIn(&boundedFS{osfs.New(k.path(c), osfs.WithBoundOS()), left, k.most})
	_, _ = git.Init(s, nil) // so that git itself can look at it; a disk that refuses says so again at once
	return s
}

func storageIn(f billy.Filesystem) *filesystem.Storage {
	o := filesystem.Options{LargeObjectThreshold: maxPolicyFile}
	return filesystem.NewStorageWithOptions(f, cache.NewObjectLRU(8*cache.MiByte), o)
}
