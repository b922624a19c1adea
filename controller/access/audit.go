package access

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"
)

// Call is one request as an audit keeps it.
type Call = struct {
	At       time.Time `json:"at"`
	Caller   string    `json:"caller,omitempty"` // "" where nobody is known
	Role     string    `json:"role,omitempty"`
	Method   string    `json:"method"`
	Path     string    `json:"path"` // without the query
	Status   int       `json:"status"`
	Remote   string    `json:"remote"`
	Refused  string    `json:"refused,omitempty"`  // why it was refused
	Decision string    `json:"decision,omitempty"` // the id of the decision that it led to
}

// A flood must fill neither the log nor the file, nor push orders out of it. Of calls that are refused, one of a caller at
// an address is written down a minute for each reason, and of all so many at once, and one more each so often. All are
// counted.
const (
	refusedSame  = time.Minute
	refusedBurst = 100
	refusedEvery = 5 * time.Second
	refusedKnown = 1024 // callers, addresses and reasons that are remembered
)

// callsWaiting is how many calls may wait for the disk.
const callsWaiting = 1024

// Audit writes down calls, in the log and in a file that is bounded.
type Audit struct {
	logger  *slog.Logger
	file    rotating
	waiting chan []byte
	lost    prometheus.Counter

	mu         sync.Mutex // guards the rest
	refused    *rate.Limiter
	said       map[sameRefusal]time.Time
	suppressed int // refused calls since the last one that was written down
}

// sameRefusal is what makes two refused calls the same news.
type sameRefusal struct {
	from           netip.Addr
	caller, reason string
}

// NewAudit returns an audit whose file is in the folder dir, which must exist; Run writes it.
func NewAudit(dir string, logger *slog.Logger, r prometheus.Registerer) *Audit {
	return &Audit{logger: logger, file: rotating{dir: dir}, waiting: make(chan []byte, callsWaiting), said: map[sameRefusal]time.Time{}, refused: rate.NewLimiter(rate.Every(refusedEvery), refusedBurst),
		lost: promauto.With(r).NewCounter(prometheus.CounterOpts{Name: "signalbox_audit_lost_total",
			Help: "Calls that the audit's file does not have, as the disk refused or was too slow; the log has them."})}
}

// Keep writes down a call. It does not wait for the disk.
func (a *Audit) Keep(c Call) {
	more, ok := a.worth(c)
	if !ok {
		return
	}
	said := []any{"caller", c.Caller, "role", c.Role, "method", c.Method, "path", c.Path, "status", c.Status, "remote", c.Remote}
	if c.Decision != "" {
		said = append(said, "decision", c.Decision)
	}
	if c.Refused == "" {
		a.logger.Info("call answered", said...)
	} else {
		a.logger.Warn("call refused", append(said, "reason", c.Refused, "unsaid", more)...)
	}
	line, err := json.Marshal(struct {
		Call
		Unsaid int `json:"unsaid,omitempty"` // refused calls before this one that are not written down
	}{c, more})
	if err != nil {
		panic(err) // strings and numbers only
	}
	select {
	case a.waiting <- append(line, '\n'):
	default:
		a.lost.Inc()
	}
}

// worth says whether to write a call down, and how many refused ones before it were not.
func (a *Audit) worth(c Call) (unsaid int, ok bool) {
	if c.Refused == "" {
		return 0, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	same := sameRefusal{remoteAddress(c.Remote), c.Caller, c.Refused}
	if last, known := a.said[same]; known && c.At.Sub(last) < refusedSame || !a.refused.AllowN(c.At, 1) {
		a.suppressed++
		return 0, false
	}
	if len(a.said) >= refusedKnown {
		clear(a.said)
	}
	a.said[same] = c.At
	unsaid, a.suppressed = a.suppressed, 0
	return unsaid, true
}

// Run writes the file until ctx is done and nothing waits any more. A disk that refuses costs lines and nothing else.
func (a *Audit) Run(ctx context.Context) error {
	defer a.file.close()
	failing := false
	write := func(line []byte) {
		err := a.file.write(line)
		if err != nil {
			a.lost.Inc()
		}
		if err != nil && !failing {
			a.logger.Error("audit not written", "err", err)
		}
		failing = err != nil
	}
	for {
		select {
		case line := <-a.waiting:
			write(line)
		case <-ctx.Done():
			for {
				select {
				case line := <-a.waiting:
					write(line)
				default:
					return nil
				}
			}
		}
	}
}
