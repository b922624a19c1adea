// Package store keeps the durable state of one machine in a bbolt file: the world, the table in force, the baselines, the
// journal of decisions and the outbox of what is to be told about them. Every commit is one transaction that has reached
// the disk when it returns.
package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// defaultTimeout is long enough for a predecessor that is shutting down to let go of the file.
const defaultTimeout = 2 * time.Second

// Options says where the state lives.
type Options struct {
	Path    string        // the file; it is created with mode 0600 where there is none, its folder is not
	Timeout time.Duration // how long to wait for another process to let go of the file; 0 means 2 s
	NoSync  bool          // do not wait for the disk: for tests only, a crash may lose or damage the state
}

// Store is an open file of durable state. It is safe for use by several goroutines; one process may have it open.
type Store struct {
	db *bbolt.DB
}

// Open opens the store, and creates it where there is none. The errors that a person can do something about wrap
// ErrLocked, ErrDamaged or ErrNewer and have a method Hint() string.
func Open(o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("open store: want a path, got none")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	_, err := os.Stat(o.Path)
	created := errors.Is(err, fs.ErrNotExist)
	db, err := openFile(o)
	if err != nil {
		return nil, openError(o.Path, err)
	}
	if err := prepare(db, o.Path, created); err != nil {
		db.Close()
		return nil, openError(o.Path, err)
	}
	return &Store{db: db}, nil
}

// openFile opens the file for bbolt. Some kinds of damage make bbolt panic, and then the file stays locked until this
// process ends.
func openFile(o Options) (db *bbolt.DB, err error) {
	bo := &bbolt.Options{Timeout: o.Timeout, NoSync: o.NoSync, FreelistType: bbolt.FreelistMapType}
	err = guard(func() (err error) {
		db, err = bbolt.Open(o.Path, 0o600, bo)
		return err
	})
	return db, err
}

// prepare checks that the whole file is there and ours, and writes the schema into a new one.
func prepare(db *bbolt.DB, path string, created bool) error {
	if err := guard(func() error { return checkSize(db, path) }); err != nil {
		return err
	}
	if err := guard(func() error { return migrate(db) }); err != nil {
		return err
	}
	if created {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// checkSize finds a file that was cut short; reading its missing pages would be a fault.
func checkSize(db *bbolt.DB, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: want %d bytes, got %d", ErrDamaged, tx.Size(), info.Size())
		}
		return nil
	})
}

// syncDir makes the name of a new file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Backup writes a copy of the whole store, as it is at one moment, to w. Commits go on meanwhile. The copy is a store
// file that Open reads. After going back to one, the first commit must open a new epoch, because senders may have seen
// later generations.
func (s *Store) Backup(w io.Writer) error {
	err := s.view(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	return nil
}

// Close waits for transactions to end and lets go of the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// view runs fn in a read transaction; a panic over a damaged page comes back as ErrDamaged.
func (s *Store) view(fn func(*bbolt.Tx) error) error {
	return guard(func() error { return s.db.View(fn) })
}

// openError adds what was attempted, and turns the library's errors into this package's.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		err = ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return &OpenError{Path: path, Err: err}
}
