package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// How large the audit's file grows, in bytes, and how many there are, the one that grows included.
const (
	auditMost  = 16 << 20
	auditFiles = 4
)

// rotating is a file that is put aside when it is large: audit.ndjson, then audit.1.ndjson, and so on.
type rotating struct {
	dir  string
	file *os.File // nil: not open
	size int64
}

func (r *rotating) name(i int) string {
	if i == 0 {
		return filepath.Join(r.dir, "audit.ndjson")
	}
	return filepath.Join(r.dir, fmt.Sprintf("audit.%d.ndjson", i))
}

// write appends a line. After an error the file is opened anew for the next one.
func (r *rotating) write(line []byte) error {
	if r.file != nil && r.size+int64(len(line)) > auditMost {
		r.close()
		if err := r.rotate(); err != nil {
			return err
		}
	}
	if err := r.open(); err != nil {
		return err
	}
	n, err := r.file.Write(line)
	if r.size += int64(n); err != nil {
		r.close()
	}
	return err
}

func (r *rotating) open() error {
	if r.file != nil {
		return nil
	}
	f, err := os.OpenFile(r.name(0), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	about, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, about.Size()
	return nil
}

// rotate makes room for a new file; the oldest goes.
func (r *rotating) rotate() error {
	for i := auditFiles - 1; i > 0; i-- {
		if err := os.Rename(r.name(i-1), r.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (r *rotating) close() {
	if r.file != nil {
		_ = r.file.Close() // each line was written and looked at
	}
	r.file, r.size = nil, 0
}
