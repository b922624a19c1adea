// Package promql reads routes' counters from whatever speaks the Prometheus API: Prometheus, Mimir, Thanos, VictoriaMetrics.
// It is for sites whose gateways count and export, and post no events: no message has an id there, so it tells less than
// events do, and what it cannot tell stays unknown.
//
// An answer with warnings, an old one, a partial one or none gives no observation and no heartbeat: the route's signals get
// old and become unknown, never bad.
package promql

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"signalbox/rules/route"
)

// The counters that are asked for. Each query gives series with the labels route, class and network, which may have others
// beside, such as the instance: each series is a counter of its own, so that the restart of one instance is not taken for a
// fall of all. A query must not sum, rate or otherwise compute.
const (
	Submitted = "submitted" // messages that the route accepted
	Refused   = "refused"   // by the route's fault
	Throttled = "throttled"
	Delivered = "delivered" // receipts that say so
	Failed    = "failed"    // final receipts that say anything else
)

// Queries are those of counters named as the rules in dashboards/rules record them.
func Queries() map[string]string {
	return map[string]string{
		Submitted: `signalbox:route_submitted:total`,
		Refused:   `signalbox:route_refused:total`,
		Throttled: `signalbox:route_throttled:total`,
		Delivered: `signalbox:route_delivered:total`,
		Failed:    `signalbox:route_failed:total`,
	}
}

// Options are what a Collector asks.
type Options struct {
	Name    string            // the source of a route is promql.NAME.ROUTE
	URL     string            // such as http://127.0.0.1:9090
	Headers map[string]string // such as Authorization and X-Scope-OrgID
	// Params are of each call: dedup=true and partial_response=false for Thanos; latency_offset=1s for VictoriaMetrics, which
	// else answers as of half a minute ago, when samples are too old already.
	Params   map[string]string
	Queries  map[string]string // by counter; those left out are of Queries
	Interval time.Duration     // of the scrapes or rules, at most 20 s; 0 is 15 s
	TLS      *tls.Config       // nil: the system's
	Delay    time.Duration     // that a receipt usually takes; 0 is 10 s
	Known    func(route.ID) bool
	Now      func() time.Time // nil: time.Now
}

// Collector is a probes.Collector.
type Collector struct {
	o      Options
	api    v1.API
	series map[string]*counter // by counter and labels
	keys   map[route.Key]*seen
	round  uint64
	warm   time.Duration // from the first value of a key to the first message that is told
	past   map[route.Key]share
}

// share is what a queue knew of its answers when it was dropped.
type share struct{ settled, answered float64 }

// How long nothing is told of a key that is new, and of one that was known before.
const (
	fresh = 20 * time.Minute
	again = time.Minute
)

// counter is one series as it was last seen.
type counter struct {
	key   route.Key
	value float64
	at    time.Time // of the sample
	round uint64    // in which it was seen
}

// seen is what is known of one key.
type seen struct {
	queue queue
	at    time.Time // how far its counters have been read
}

// Bounds of an answer.
const (
	maxSeries   = 100_000
	maxBytes    = 64 << 20
	maxInterval = 20 * time.Second
	maxGap      = 2 * time.Minute // between two answers, beyond which nobody knows when what was counted happened
)

// New checks the options. It reaches no network.
func New(o Options) (*Collector, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: o.URL, RoundTripper: newTripper(o)})
	if err != nil {
		return nil, fmt.Errorf("promql %s: %w", o.Name, err)
	}
	return &Collector{o: o, api: v1.NewAPI(client), series: map[string]*counter{}, keys: map[route.Key]*seen{}, warm: fresh, past: map[route.Key]share{}}, nil
}

// Reads reports whether a new collector of these options would read the same counters in the same way. Then this one can go on
// in its place: it knows what it has read, and a new one tells nothing for twenty minutes.
func (c *Collector) Reads(o Options) bool {
	o, err := o.withDefaults()
	was := &c.o
	return err == nil && o.Name == was.Name && o.URL == was.URL && o.Interval == was.Interval && o.Delay == was.Delay &&
		maps.Equal(o.Headers, was.Headers) && maps.Equal(o.Params, was.Params) && maps.Equal(o.Queries, was.Queries) && sameTLS(o.TLS, was.TLS)
}

// sameTLS compares what can be configured of TLS.
func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ServerName == b.ServerName && a.RootCAs.Equal(b.RootCAs) && slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
		return slices.EqualFunc(x.Certificate, y.Certificate, bytes.Equal)
	})
}

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" || o.URL == "" {
		return o, errors.New("promql: want Name and URL")
	}
	if o.Interval <= 0 {
		o.Interval = 15 * time.Second
	}
	if o.Interval > maxInterval {
		return o, fmt.Errorf("promql %s: want counters at most %s apart, got %s: a source that is silent for longer counts as away", o.Name, route.Duration(maxInterval), route.Duration(o.Interval))
	}
	if o.Delay <= 0 {
		o.Delay = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	queries := Queries()
	for name, q := range o.Queries {
		if _, known := queries[name]; !known {
			return o, fmt.Errorf("promql %s: want a query of %s, got %q", o.Name, strings.Join(slices.Sorted(maps.Keys(queries)), ", "), name)
		}
		queries[name] = q
	}
	o.Queries = queries
	return o, nil
}

// Collect reads all counters at one moment and returns what has been counted since the last time.
func (c *Collector) Collect(ctx context.Context) ([]route.Observation, error) {
	now := c.o.Now()
	c.round++
	steps, stale := map[route.Key]*step{}, map[route.Key]bool{}
	var read [][]sample
	names := slices.Sorted(maps.Keys(c.o.Queries))
	var odd []error
	for _, name := range names {
		samples, err := c.query(ctx, name, now)
		if err != nil {
			return nil, err // nothing of the others is used: they would not fit together
		}
		read = append(read, samples)
	}
	for i, name := range names {
		for j := range read[i] {
			if err := c.count(name, &read[i][j], now, steps, stale); err != nil {
				odd = append(odd, err)
			}
		}
	}
	c.miss(stale)
	out, heard := c.observe(steps, stale)
	if len(heard) == 0 && len(odd) == 0 {
		odd = append(odd, fmt.Errorf("promql %s: no series of a known route: want %s with the labels route, class and network", c.o.Name, c.o.Queries[Submitted]))
	}
	return out, errors.Join(firstFew(odd)...)
}

// firstFew keeps an error readable.
func firstFew(errs []error) []error {
	const few = 3
	if len(errs) <= few {
		return errs
	}
	return append(errs[:few:few], fmt.Errorf("and %d more", len(errs)-few))
}

// count adds what one series has grown by to the step of its key.
func (c *Collector) count(name string, s *sample, now time.Time, steps map[route.Key]*step, stale map[route.Key]bool) error {
	if err := checkKey(s.key); err != nil {
		stale[s.key] = true
		return fmt.Errorf("promql %s: %s: %w", c.o.Name, s.name, err)
	}
	if age := now.Sub(s.at); age > 2*c.o.Interval || age < -c.o.Interval {
		stale[s.key] = true
		delete(c.series, s.name)
		return fmt.Errorf("promql %s: %s: the newest sample is %s old", c.o.Name, s.name, route.Duration(age.Truncate(time.Second)))
	}
	was := c.series[s.name]
	c.series[s.name] = &counter{s.key, s.value, s.at, c.round}
	if !(s.value >= 0) || math.IsInf(s.value, 0) {
		delete(c.series, s.name)
		stale[s.key] = true
		return fmt.Errorf("promql %s: %s: want a count, got %v", c.o.Name, s.name, s.value)
	}
	st := steps[s.key]
	if st == nil {
		st = &step{}
		steps[s.key] = st
	}
	if st.to.IsZero() || s.at.Before(st.to) {
		st.to = s.at // the series that has got least far
	}
	switch {
	case was == nil: // a first value is no increase: nobody knows since when it grew
	case s.at.Sub(was.at) > maxGap:
		stale[s.key] = true
		return fmt.Errorf("promql %s: %s: nothing was read for %s, and what was counted then cannot be dated", c.o.Name, s.name, route.Duration(s.at.Sub(was.at).Truncate(time.Second)))
	case s.value >= was.value:
		st.add(name, s.value-was.value)
	default: // the counter began anew: what was under way in its process may never be counted
		stale[s.key] = true
	}
	return nil
}

// miss drops series that are no longer there, as after a deploy: what was under way in their process may never be counted.
func (c *Collector) miss(stale map[route.Key]bool) {
	for name, s := range c.series {
		if s.round != c.round {
			stale[s.key] = true
			delete(c.series, name)
		}
	}
}

func checkKey(k route.Key) error {
	if _, err := route.ParseNetwork(string(k.Network)); err != nil || k.Class == "" {
		return fmt.Errorf(`want the labels class, and network such as "234-15" or "GB", got %q and %q`, k.Class, k.Network)
	}
	return nil
}

func (s *step) add(name string, grown float64) {
	n := int(math.Round(math.Min(grown, 2*most)))
	switch name {
	case Submitted:
		s.submitted += n
	case Refused:
		s.refused += n
	case Throttled:
		s.throttled += n
	case Delivered:
		s.delivered += n
	case Failed:
		s.failed += n
	}
}

// observe turns the steps of keys that are whole and new into observations, and says that their routes are alive. A key that
// is not whole begins anew, and its messages in flight are told as lost track of, so that they are not taken for lost.
func (c *Collector) observe(steps map[route.Key]*step, stale map[route.Key]bool) (out []route.Observation, heard []route.ID) {
	newest := map[route.ID]time.Time{}
	for _, k := range slices.SortedFunc(maps.Keys(steps), lessKey) {
		s := steps[k]
		known := c.keys[k]
		switch {
		case stale[k]:
		case known == nil:
			c.keys[k] = c.begin(k, s.to)
		case s.to.After(known.at) && s.total() <= most:
			s.from, known.at = known.at, s.to
			out = append(out, known.queue.observations(k, c.source(k.Route), s)...)
		}
		if at := newest[k.Route]; at.IsZero() || s.to.Before(at) {
			newest[k.Route] = s.to
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(stale), lessKey) {
		delete(newest, k.Route) // a route of which something is missing is not heard of
		if known := c.keys[k]; known != nil {
			delete(c.keys, k)
			c.past[k] = share{known.queue.settled, known.queue.answered}
			out = append(out, route.Observation{Kind: route.KindLost, Time: known.at, Submitted: known.at, Source: c.source(k.Route), Route: k.Route, Class: k.Class, Network: k.Network})
		}
	}
	slices.SortStableFunc(out, func(a, b route.Observation) int { return a.Time.Compare(b.Time) }) // of several keys of a route
	heard = slices.Sorted(maps.Keys(newest))
	for _, id := range heard {
		out = append(out, route.Observation{Kind: route.KindHeartbeat, Time: newest[id], Source: c.source(id), Routes: []route.ID{id}})
	}
	return out, heard
}

// begin begins with a key at a moment. Nothing of it is told until its receipts are shared out as they will be from then on:
// once its usual share of answers is known, or at once where that is known from before.
func (c *Collector) begin(k route.Key, at time.Time) *seen {
	was, known := c.past[k]
	delete(c.past, k)
	warm := c.warm
	if known && was.settled >= shareFrom {
		warm = min(warm, again)
	}
	return &seen{at: at, queue: queue{delay: c.o.Delay, settled: was.settled, answered: was.answered, faded: at, from: at.Add(warm)}}
}

// source is the name under which a route is reported: each has its own, so that one of which something is missing falls
// silent alone.
func (c *Collector) source(id route.ID) string {
	const most = 64 // bytes of a source's name
	name := "promql." + c.o.Name + "." + string(id)
	if len(name) > most {
		h := fnv.New64a()
		_, _ = h.Write([]byte(name)) // a hash takes everything
		name = fmt.Sprintf("promql.%016x", h.Sum64())
	}
	return name
}

func lessKey(a, b route.Key) int {
	return strings.Compare(string(a.Route)+"\x00"+string(a.Class)+"\x00"+string(a.Network), string(b.Route)+"\x00"+string(b.Class)+"\x00"+string(b.Network))
}
