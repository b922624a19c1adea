package ingest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	maxBody   = 16 << 20 // bytes, as received and as decompressed
	maxWindow = 8 << 20  // bytes of zstd's window: what RFC 8878 recommends to support
)

// body is the decompressed body of a request. Its readers are given back by close.
type body struct {
	io.Reader
	n     int64 // bytes read
	close func()
}

// errTooLarge is a body that grew beyond maxBody when it was decompressed.
var errTooLarge = errors.New("decompressed body too large")

// Read never returns more than maxBody bytes in all.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.n += int64(n); b.n > maxBody {
		return 0, errTooLarge
	}
	return n, err
}

// openBody checks what the headers say and returns the body, or the problem to answer.
func openBody(w http.ResponseWriter, r *http.Request) (*body, *problem) {
	if p := checkType(r.Header.Get("Content-Type")); p != nil {
		w.Header().Set("Accept-Post", "application/x-ndjson")
		return nil, p
	}
	if r.ContentLength > maxBody {
		return nil, tooLarge("received")
	}
	raw := http.MaxBytesReader(w, r.Body, maxBody)
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return &body{Reader: raw, close: func() {}}, nil
	case "gzip", "x-gzip":
		return openGzip(raw)
	case "zstd":
		return openZstd(raw)
	default:
		w.Header().Set("Accept-Encoding", "gzip, zstd")
		return nil, &problem{Status: http.StatusUnsupportedMediaType,
			Detail: fmt.Sprintf("Content-Encoding: want gzip, zstd or identity, got %q", encoding)}
	}
}

func checkType(header string) *problem {
	media, _, err := mime.ParseMediaType(header)
	switch {
	case header == "":
		return nil
	case err != nil:
	case media == "application/x-ndjson", media == "application/json", media == "application/jsonl", media == "text/plain":
		return nil
	}
	return &problem{Status: http.StatusUnsupportedMediaType,
		Detail: fmt.Sprintf("Content-Type: want application/x-ndjson, got %q", header)}
}

var (
	gzipReaders sync.Pool // of *gzip.Reader
	zstdReaders sync.Pool // of *zstd.Decoder
)

func openGzip(raw io.Reader) (*body, *problem) {
	z, _ := gzipReaders.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	if err := z.Reset(raw); err != nil {
		gzipReaders.Put(z)
		return nil, readProblem(err)
	}
	return &body{Reader: z, close: func() {
		_ = z.Reset(strings.NewReader("")) // let go of the request; there is no header to read here
		gzipReaders.Put(z)
	}}, nil
}

func openZstd(raw io.Reader) (*body, *problem) {
	z, _ := zstdReaders.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		// One goroutine a request, the server's own.
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, &problem{Status: http.StatusInternalServerError, Detail: "zstd: " + err.Error()}
		}
	}
	if err := z.Reset(raw); err != nil {
		return nil, readProblem(err)
	}
	return &body{Reader: z, close: func() {
		if z.Reset(nil) == nil { // let go of the request
			zstdReaders.Put(z)
		}
	}}, nil
}

// readProblem is the answer to a body that could not be read to its end.
func readProblem(err error) *problem {
	var received *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &received):
		return tooLarge("received")
	case errors.Is(err, errTooLarge):
		return tooLarge("decompressed")
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return &problem{Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("body: want a zstd window of at most %d bytes, got a larger one", maxWindow)}
	case errors.As(err, &network) && network.Timeout():
		return &problem{Status: http.StatusRequestTimeout, Detail: "body: it did not come in time"}
	}
	return &problem{Status: http.StatusBadRequest, Detail: "body: want it whole and well compressed, got " + err.Error()}
}

func tooLarge(how string) *problem {
	return &problem{Status: http.StatusRequestEntityTooLarge,
		Detail: fmt.Sprintf("body: want at most %d bytes (16 MiB) as %s, got more; send smaller batches", maxBody, how)}
}
