package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// spool holds lines that signalbox has not taken, oldest first, each with its newline. Lines are numbered from 0 on; a
// number is never used again. The file, where there is one, belongs to one goroutine.
type spool struct {
	most int // bytes
	full chan struct{}

	mu      sync.Mutex // guards what follows
	lines   [][]byte
	first   uint64 // number of lines[0]
	bytes   int
	dropped uint64

	path  string
	file  *os.File
	saved uint64 // lines below this number are in the file, or done with
	size  int64  // of the file
}

// The bounds of a batch.
const (
	batchLines = 1000
	batchBytes = 1 << 20
)

// openSpool takes up what a file holds. Where that cannot be read it starts empty, and the error says why.
func openSpool(path string, most int) (*spool, error) {
	s := &spool{most: most, full: make(chan struct{}, 1), path: path}
	if path == "" {
		return s, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	bad := 0
	for l := range bytes.Lines(data) {
		if json.Valid(l) && l[len(l)-1] == '\n' {
			s.add(l)
		} else {
			bad++
		}
	}
	if bad > 0 {
		err = fmt.Errorf("%d of its lines are damaged", bad)
	}
	return s, err
}

// add appends a line, and drops the oldest ones that have no more room. A line that is larger than the spool is dropped.
func (s *spool) add(l []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, l)
	s.bytes += len(l)
	for s.bytes > s.most {
		s.dropped++
		s.forget(1)
	}
	if len(s.lines) >= batchLines {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// forget removes the oldest n lines.
func (s *spool) forget(n int) {
	for i := range n {
		s.bytes -= len(s.lines[i])
		s.lines[i] = nil
	}
	s.lines = s.lines[n:]
	s.first += uint64(n)
}

// batch returns the oldest lines as one body, how many they are, and the number after the last of them.
func (s *spool) batch(lines int) (body []byte, n int, next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if n == lines || n > 0 && len(body)+len(l) > batchBytes {
			break
		}
		body = append(body, l...)
		n++
	}
	return body, n, s.first + uint64(n)
}

// done removes the lines below a number; some of them may have been dropped meanwhile.
func (s *spool) done(next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next > s.first {
		s.forget(int(next - s.first))
	}
}

func (s *spool) count() (waiting int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines), s.dropped
}

// save brings the file up to date: new lines are appended; an empty spool empties it; one that is three times as large as
// the spool may be is written anew. It is not synced: what the system holds outlives the process, not the machine.
func (s *spool) save() error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	fresh := s.lines[min(len(s.lines), int(max(s.saved, s.first)-s.first)):]
	empty, next := len(s.lines) == 0, s.first+uint64(len(s.lines))
	s.mu.Unlock()
	if s.file == nil || s.size > int64(3*s.most) {
		return s.rewrite()
	}
	if empty {
		if s.size > 0 {
			s.size = 0
			return s.file.Truncate(0)
		}
		return nil
	}
	return s.appendLines(fresh, next)
}

func (s *spool) appendLines(fresh [][]byte, next uint64) error {
	if len(fresh) == 0 {
		return nil
	}
	body := bytes.Join(fresh, nil)
	n, err := s.file.Write(body)
	s.size += int64(n)
	if err != nil {
		return errors.Join(err, s.close()) // half a line may be there: the next save writes it anew
	}
	s.saved = next
	return nil
}

// rewrite writes the file anew with what waits.
func (s *spool) rewrite() error {
	s.mu.Lock()
	body, next := bytes.Join(s.lines, nil), s.first+uint64(len(s.lines))
	s.mu.Unlock()
	err := s.close()
	if err = errors.Join(err, writeWhole(s.path, body)); err != nil {
		return err
	}
	if s.file, err = os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	s.size, s.saved = int64(len(body)), next
	return nil
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
