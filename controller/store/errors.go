package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// What callers branch on.
var (
	// ErrStale: the state changed since the change was decided, or its generation would fall. Nothing was written.
	ErrStale = errors.New("state has moved on since the decision")
	// ErrUnsure: the change was written, but the disk did not confirm it, so a crash may undo it. Load before going on.
	ErrUnsure = errors.New("the disk did not confirm the change")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("another process holds it")
	// ErrDamaged: the file is not what was written.
	ErrDamaged = errors.New("file is damaged")
	// ErrNewer: a later version of signalbox wrote the file.
	ErrNewer = errors.New("written by a newer version of signalbox")
	// ErrCursor: Query.Before names no decision that is kept.
	ErrCursor = errors.New("no such decision to go on from")
)

// OpenError says why a store could not be opened.
type OpenError struct {
	Path string
	Err  error
}

// Error names the file and what is wrong with it.
func (e *OpenError) Error() string { return fmt.Sprintf("open store %s: %v", e.Path, e.Err) }

// Unwrap is what is wrong with the file.
func (e *OpenError) Unwrap() error { return e.Err }

// Hint says what a person can do about it, or nothing.
func (e *OpenError) Hint() string {
	switch {
	case errors.Is(e.Err, ErrLocked):
		return "fuser -v " + e.Path + " shows the process; a store belongs to one running signalbox"
	case errors.Is(e.Err, ErrDamaged):
		return "put a backup in its place, or move the file away; then start with --epoch N, greater than the epoch that senders hold (the 1 of 1-42), or they ignore the new tables"
	case errors.Is(e.Err, ErrNewer):
		return "run the version of signalbox that wrote it, or one after that"
	}
	return ""
}

// guard runs fn and turns its panics into ErrDamaged: bbolt panics when pages do not hold together, and reading a page
// that the disk cannot give is a fault.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return fn()
}
