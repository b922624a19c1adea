package recording

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Segment is one file of a recording.
type Segment struct {
	Path   string
	Begins time.Time // on the clock of the one who recorded
	Number int       // in the order of writing
	Size   int64     // bytes
}

// The name of a segment is when it begins and its number, so that the order of names is that of time.
const (
	nameTime = "20060102T150405Z"
	nameEnd  = ".ndjson.zst"
)

func fileName(dir string, at time.Time, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%06d%s", at.UTC().Format(nameTime), number, nameEnd))
}

// Named is the segment that a path names; false where the name is none of a segment.
func Named(path string) (Segment, bool) {
	stem, ok := strings.CutSuffix(filepath.Base(path), nameEnd)
	if !ok {
		return Segment{}, false
	}
	at, number, ok := strings.Cut(stem, "-")
	if !ok || len(number) < 6 {
		return Segment{}, false
	}
	begins, err := time.Parse(nameTime, at)
	n, bad := strconv.ParseUint(number, 10, 31)
	if err != nil || bad != nil {
		return Segment{}, false
	}
	return Segment{Path: path, Begins: begins, Number: int(n)}, true
}

// Segments are the segments in a folder, in the order in which they were written. Other files are left out.
func Segments(dir string) ([]Segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []Segment
	for _, e := range entries {
		s, ok := Named(filepath.Join(dir, e.Name()))
		if !ok || e.IsDir() {
			continue
		}
		info, err := e.Info()
		if os.IsNotExist(err) {
			continue // pruned meanwhile
		}
		if err != nil {
			return nil, err
		}
		s.Size = info.Size()
		found = append(found, s)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Number < found[j].Number })
	return found, nil
}

// Between are those of the segments, given in their order, that hold what was taken from since on and before until; zero
// moments bound nothing. The first begins before since, as a rule.
func Between(all []Segment, since, until time.Time) []Segment {
	from := 0
	for i := range all {
		if !since.IsZero() && !all[i].Begins.After(since) {
			from = i
		}
	}
	to := len(all)
	for to > from && !until.IsZero() && !all[to-1].Begins.Before(until) {
		to--
	}
	return all[from:to]
}

// Reader reads the lines of a segment. One that ends in the middle, as the death of its writer leaves it, ends after its
// last whole line.
type Reader struct {
	file *os.File
	zip  *zstd.Decoder
	room []byte // that buf lies in
	buf  []byte // read and not given yet
	give int    // how much of buf may be given: whole lines
	torn error  // why the segment ended in the middle
	end  bool
}

// Open opens a segment.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	zip, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(16*window))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Reader{file: f, zip: zip}, nil
}

// readSize is how much is read at once, in bytes.
const readSize = 64 << 10

// maxLine is the longest line that is waited for, in bytes; a longer one is given in pieces.
const maxLine = 1 << 20

// Read gives whole lines.
func (r *Reader) Read(b []byte) (int, error) {
	for r.give == 0 {
		if r.end {
			return 0, io.EOF
		}
		r.fill()
	}
	n := copy(b, r.buf[:r.give])
	r.buf, r.give = r.buf[n:], r.give-n
	return n, nil
}

func (r *Reader) fill() {
	rest := len(r.buf)
	if cap(r.room) < rest+readSize {
		r.room = make([]byte, 0, 2*(rest+readSize))
	}
	r.buf = append(r.room[:0], r.buf...)
	n, err := r.zip.Read(r.buf[rest : rest+readSize])
	r.buf = r.buf[:rest+n]
	r.give = bytes.LastIndexByte(r.buf, '\n') + 1
	if len(r.buf) > maxLine {
		r.give = len(r.buf)
	}
	if err == nil {
		return
	}
	r.end = true
	if err != io.EOF {
		r.torn = err
	}
}

// Torn is why the segment ended in the middle; nil where it did not, or its end has not been reached.
func (r *Reader) Torn() error { return r.torn }

// Close lets go of the segment.
func (r *Reader) Close() error {
	r.zip.Close()
	return r.file.Close()
}
