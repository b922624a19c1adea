package sender

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// fileMark begins a file that holds a table. The line goes on with the SHA-256 of what follows it, in hexadecimal, and
// the signature, or "-" where there is none; then come the table's bytes.
const fileMark = "signalbox-table "

// keep writes the table to the file, whole or not at all.
func (c *Client) keep(a *answer) error {
	if c.o.File == "" {
		return nil
	}
	signature := a.signature
	if signature == "" || strings.ContainsAny(signature, "\r\n") {
		signature = "-"
	}
	head := fmt.Sprintf("%s%x %s\n", fileMark, sha256.Sum256(a.plain), signature)
	return writeWhole(c.o.File, append([]byte(head), a.plain...))
}

// restore takes up the table that the last run kept. It is checked as one from a server is.
func (c *Client) restore() {
	if c.o.File == "" {
		return
	}
	data, err := os.ReadFile(c.o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var a *answer
	if err == nil {
		a, err = readKept(data)
	}
	var t *Table
	if err == nil {
		t, err = c.read(a)
	}
	if err != nil {
		c.log.Warn("kept table not used", "file", c.o.File, "err", err)
		return
	}
	c.table.Store(t)
	c.log.Info("kept table taken up", "generation", t.Generation.String(), "file", c.o.File)
	c.confirm(nil)
}

func readKept(data []byte) (*answer, error) {
	line, plain, ok := bytes.Cut(data, []byte("\n"))
	text, marked := strings.CutPrefix(string(line), fileMark)
	sum, signature, both := strings.Cut(text, " ")
	if !ok || !marked || !both {
		return nil, errors.New("want a table that a sender kept, got something else")
	}
	if fmt.Sprintf("%x", sha256.Sum256(plain)) != sum {
		return nil, errors.New("it is damaged: its bytes do not have the sum that it tells")
	}
	if signature == "-" {
		signature = ""
	}
	return &answer{plain, signature}, nil
}

// writeWhole puts data in the place of a file: after a crash it is the old or the new one.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
