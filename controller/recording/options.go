package recording

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options of a Recorder. Dir is required; other zero fields mean the documented default.
type Options struct {
	Dir     string        // made where there is none; a folder of this recorder alone
	Size    int64         // bytes that all segments may take; default 10 GB, at least 1 MiB
	Age     time.Duration // how long a segment is kept after its end; default 30 days
	Segment time.Duration // how long a segment lasts; default 1 hour
	Flush   time.Duration // how long what was taken may wait to be handed to the system; default 2s
	Queue   int           // observations that may wait to be written; default 65,536

	Logger     *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default: metrics are not registered
}

// The defaults, and the least size.
const (
	DefaultSize = 10_000_000_000
	DefaultAge  = 30 * 24 * time.Hour
	MinSize     = 1 << 20
)

func (o *Options) complete() error {
	switch {
	case o.Dir == "":
		return errors.New("new recorder: want a folder, got none")
	case o.Size < 0 || o.Size > 0 && o.Size < MinSize:
		return fmt.Errorf("new recorder: want a size of at least %d bytes, got %d", MinSize, o.Size)
	case o.Age < 0 || o.Segment < 0 || o.Flush < 0 || o.Queue < 0:
		return errors.New("new recorder: want no negative bounds")
	}
	setDefault(&o.Size, DefaultSize)
	setDefault(&o.Age, DefaultAge)
	setDefault(&o.Segment, time.Hour)
	setDefault(&o.Flush, 2*time.Second)
	setDefault(&o.Queue, 1<<16)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

func setDefault[T int | int64 | time.Duration](to *T, otherwise T) {
	if *to == 0 {
		*to = otherwise
	}
}
