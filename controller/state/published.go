package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"signalbox/rules/route"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Published is a table with the bytes that senders get, encoded once. Nobody changes it or its bytes. It is an alias, so
// that those who serve it can declare the same fields instead of importing this package.
type Published = struct {
	Table *route.Table
	Plain []byte // JSON
	Gzip  []byte // Plain in gzip; nil where that is not smaller
	Zstd  []byte // Plain in zstd; nil where that is not smaller
}

// Encode checks a table and makes what is published of it. The table must not change afterwards.
func Encode(t *route.Table) (*Published, error) {
	if err := check(t); err != nil {
		return nil, err
	}
	p, err := encodePlain(t)
	if err != nil {
		return nil, err
	}
	if p.Gzip, err = compressGzip(p.Plain); err != nil {
		return nil, err
	}
	p.Zstd = smaller(p.Plain, zstdEncoder.EncodeAll(p.Plain, nil))
	return p, nil
}

func encodePlain(t *route.Table) (*Published, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode table %s: %w", t.Generation, err)
	}
	return &Published{Table: t, Plain: plain}, nil
}

// zstdEncoder is stateless in EncodeAll, which may be called by several goroutines. It makes its channels with the first
// call, which must not happen in a test that lives in a bubble of its own.
var zstdEncoder = func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		panic(err) // the options are constants
	}
	e.EncodeAll([]byte{0}, nil)
	return e
}()

func compressGzip(plain []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return smaller(plain, buf.Bytes()), nil
}

func smaller(plain, packed []byte) []byte {
	if len(packed) >= len(plain) {
		return nil
	}
	return packed
}

// check refuses a table that no sender could use.
func check(t *route.Table) error {
	if t == nil || len(t.Lanes) == 0 {
		return errors.New("table without lanes")
	}
	seen := make(map[route.Lane]bool, len(t.Lanes))
	for i := range t.Lanes {
		l := &t.Lanes[i]
		if seen[l.Lane()] {
			return fmt.Errorf("table %s: lane %s: it is there twice", t.Generation, l.Lane())
		}
		seen[l.Lane()] = true
		if err := checkLane(l); err != nil {
			return fmt.Errorf("table %s: lane %s: %w", t.Generation, l.Lane(), err)
		}
	}
	return nil
}

func checkLane(l *route.LaneTable) error {
	if len(l.Routes) == 0 {
		return errors.New("no routes")
	}
	sum := 0
	for _, e := range l.Routes {
		if e.Share < 0 || e.Share > route.FullShare {
			return fmt.Errorf("share of %s: want 0 to %d, got %d", e.Route, route.FullShare, e.Share)
		}
		sum += e.Share
	}
	if sum != route.FullShare {
		return fmt.Errorf("shares: want a sum of %d, got %d", route.FullShare, sum)
	}
	return nil
}
