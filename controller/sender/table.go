package sender

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Generation numbers a table: the number grows by one with each, the epoch only when signalbox lost its state, and then
// the number starts again.
type Generation struct {
	Epoch, Number uint64
}

// String is the generation in the form "1-42".
func (g Generation) String() string { return fmt.Sprintf("%d-%d", g.Epoch, g.Number) }

// Newer reports whether g was published after h: in a greater epoch, or with a greater number in the same one.
func (g Generation) Newer(h Generation) bool {
	return g.Epoch > h.Epoch || g.Epoch == h.Epoch && g.Number > h.Number
}

// MarshalText writes the form of String.
func (g Generation) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads the form of String.
func (g *Generation) UnmarshalText(b []byte) error {
	epoch, number, ok := strings.Cut(string(b), "-")
	e, err1 := strconv.ParseUint(epoch, 10, 64)
	n, err2 := strconv.ParseUint(number, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf(`want a generation such as "1-42", got %.40q`, b)
	}
	*g = Generation{e, n}
	return nil
}

// Table is what signalbox published.
type Table struct {
	Generation  Generation `json:"generation"`
	PublishedAt time.Time  `json:"published_at"`
	Policy      string     `json:"policy"`
	Lanes       []Lane     `json:"lanes"`

	byLane map[laneKey]*Lane
}

// Lane is the part of a table for the messages of a class to a network.
type Lane struct {
	Class      string   `json:"class"`
	Network    string   `json:"network"`
	Mode       string   `json:"mode"`
	RetryAfter Duration `json:"retry_after"` // how long to wait for an answer before the next route is tried
	Routes     []Entry  `json:"routes"`      // in the order to try
}

// Entry is a route in a lane. Share 0 and phase active is a standby.
type Entry struct {
	Route string `json:"route"`
	Share int    `json:"share"` // ten-thousandths
	Phase string `json:"phase"` // active, recovering or demoted
	Admin string `json:"admin"` // empty, auto, pinned, drained or unregistered
	Price string `json:"price"`
}

// fullShare is the whole of a lane.
const fullShare = 10000

// Duration is a time.Duration in the form of tables: 1h30m, 40s, 250ms, 1d.
type Duration time.Duration

var units = map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second,
	"ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}

// UnmarshalText reads a sum of whole numbers, each with its unit.
func (d *Duration) UnmarshalText(b []byte) error {
	var sum time.Duration
	rest := string(b)
	for rest != "" {
		number := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		rest = rest[len(number):]
		unit := rest[:len(rest)-len(strings.TrimLeft(rest, "dhmsun"))]
		rest = rest[len(unit):]
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || units[unit] == 0 {
			return fmt.Errorf("want a duration such as 20s, got %.40q", b)
		}
		sum += time.Duration(n) * units[unit]
	}
	*d = Duration(sum)
	return nil
}

type laneKey struct{ class, network string }

// ReadTable reads a table and refuses one that nothing can be sent by.
func ReadTable(plain []byte) (*Table, error) {
	t := &Table{}
	if err := json.Unmarshal(plain, t); err != nil {
		return nil, fmt.Errorf("it is no table: %w", err)
	}
	if len(t.Lanes) == 0 {
		return t, errors.New("it has no lanes")
	}
	t.byLane = make(map[laneKey]*Lane, len(t.Lanes))
	for i := range t.Lanes {
		l := &t.Lanes[i]
		if err := l.check(); err != nil {
			return t, fmt.Errorf("lane %.40s/%.10s: %w", l.Class, l.Network, err)
		}
		if key := (laneKey{l.Class, l.Network}); t.byLane[key] == nil {
			t.byLane[key] = l
		}
	}
	return t, nil
}

func (l *Lane) check() error {
	sum := 0
	for _, e := range l.Routes {
		if e.Route == "" || e.Share < 0 || e.Share > fullShare {
			return fmt.Errorf("want routes with shares of 0 to %d, got %.40q with %d", fullShare, e.Route, e.Share)
		}
		sum += e.Share
	}
	if sum != fullShare {
		return fmt.Errorf("want shares that sum to %d, got %d", fullShare, sum)
	}
	return nil
}
