package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
)

// ErrFull is what a Sink answers when it has no room now.
var ErrFull = errors.New("queue is full")

// maxChunk is how many observations a sink gets at once.
const maxChunk = 1024

// maxListed is how many refusals an answer lists.
const maxListed = 100

// Options are what a Handler works with.
type Options struct {
	// Sink takes joined observations, at most 4096 at once, in order and without their Message. The slice stays the
	// handler's: the sink must have used or copied the observations when it returns (what they point to never changes,
	// and may be kept). It answers ErrFull where it has no room; then it has taken none of the slice.
	Sink func(ctx context.Context, batch []route.Observation) error

	Joiner *Joiner // default: one with the default bounds

	Known   func(route.ID) bool     // whether the policy has the route; nil: every one
	Suggest func(route.ID) route.ID // the route that was probably meant, "" where none is near; nil: none

	// Class says whether messages of a class are judged, and which class was probably meant, "" where none is near; nil:
	// every class is.
	Class func(route.Class) (judged bool, near route.Class)

	// Own reports whether a posted receipt is of one of our own test messages and of none that senders told of, as known says.
	// Then it says nothing of their traffic. It must not keep the observation's Message. Nil: none is.
	Own func(o *route.Observation, known func(*route.Observation) bool) bool

	Now      func() time.Time // default time.Now
	MaxAhead time.Duration    // how far an event may be ahead of Now; default 60s

	// Source is the name that the request's token is bound to, or "". It replaces the source that lines name.
	Source func(*http.Request) string

	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Handler serves POST /events. Bodies that come slowly are the server's to time out.
//
// What has been joined is never lost to a full sink: the handler keeps it and hands it over before anything else. While
// it owes something, it takes nothing new and answers 429.
type Handler struct {
	o       Options
	metrics *metrics
	works   sync.Pool // of *work
	known   func(*route.Observation) bool

	mu   sync.Mutex // guards owed
	owed [][]route.Observation
}

// New returns a handler.
func New(o Options) (*Handler, error) {
	if o.Sink == nil {
		return nil, errors.New("ingest options: want a sink")
	}
	if o.MaxAhead < 0 {
		return nil, fmt.Errorf("ingest options: want MaxAhead of 0 or more, got %v", o.MaxAhead)
	}
	if o.MaxAhead == 0 {
		o.MaxAhead = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var err error
	if o.Joiner == nil {
		if o.Joiner, err = NewJoiner(JoinerOptions{}); err != nil {
			return nil, err
		}
	}
	m, err := newMetrics(o.Registerer, o.Joiner)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &Handler{o: o, metrics: m, known: o.Joiner.Knows}, nil
}

// work is the state of one request; its buffers are used again.
type work struct {
	h       *Handler
	ctx     context.Context
	now     time.Time
	decoder *Decoder
	o       route.Observation
	batch   []route.Observation // joined, not yet handed over
	emit    func(*route.Observation)

	accepted     int
	refused      []refusedLine
	refusedTotal int
	taken        [len(types)]int
}

type refusedLine struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
}

type answer struct {
	Accepted     int           `json:"accepted"`
	Refused      []refusedLine `json:"refused"`
	RefusedTotal int           `json:"refused_total"`
}

// ServeHTTP reads a batch of lines, joins them and hands them over. Good lines count although others are refused.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		(&problem{Status: http.StatusMethodNotAllowed, Detail: "want POST, got " + r.Method}).write(w)
		return
	}
	body, p := openBody(w, r)
	if p != nil {
		p.write(w)
		return
	}
	defer body.close()
	k := h.begin(r, body)
	defer h.end(k)
	p = k.run()
	h.metrics.bytes.Observe(float64(body.n))
	if p != nil {
		p.Accepted, p.RefusedTotal = &k.accepted, &k.refusedTotal
		p.write(w)
		return
	}
	writeJSON(w, http.StatusOK, "application/json", answer{k.accepted, k.refused, k.refusedTotal})
}

func (h *Handler) begin(r *http.Request, in io.Reader) *work {
	k := h.work(r.Context())
	o := DecoderOptions{}
	if h.o.Source != nil {
		o.Source = h.o.Source(r)
	}
	if k.decoder == nil {
		k.decoder = NewDecoder(in, o)
	} else {
		k.decoder.Reset(in, o)
	}
	return k
}

func (h *Handler) work(ctx context.Context) *work {
	k, _ := h.works.Get().(*work)
	if k == nil {
		k = &work{h: h}
		k.emit = k.add
	}
	k.ctx, k.now = ctx, h.o.Now()
	k.accepted, k.refused, k.refusedTotal = 0, []refusedLine{}, 0
	return k
}

// end counts what the request brought and keeps its buffers for another one.
func (h *Handler) end(k *work) {
	for kind, n := range k.taken {
		if n > 0 && h.metrics.events[kind] != nil {
			h.metrics.events[kind].Add(float64(n))
		}
	}
	k.ctx, k.refused, k.taken, k.o = nil, nil, [len(types)]int{}, route.Observation{}
	if k.decoder != nil {
		k.decoder.Reset(nil, DecoderOptions{})
	}
	if cap(k.batch) <= 4*maxChunk {
		h.works.Put(k)
	}
}

// run reads the lines up to the end, or up to the problem that it returns.
func (k *work) run() *problem {
	if err := k.h.settle(k.ctx); err != nil {
		return sinkProblem(err)
	}
	for {
		_, err := k.decoder.Next(&k.o)
		if err == nil {
			if full := k.take(); full != nil {
				return sinkProblem(full)
			}
			continue
		}
		if refusal, ok := err.(*Refusal); ok {
			k.refuse(refusal)
			continue
		}
		if full := k.handOver(); full != nil {
			return sinkProblem(full)
		}
		if err == io.EOF {
			return nil
		}
		return readProblem(err)
	}
}

// take joins the observation k.o if nothing speaks against it.
func (k *work) take() error {
	if r := k.h.check(&k.o, k.now); r != nil {
		r.Line = k.decoder.line
		k.refuse(r)
		return nil
	}
	if k.o.Kind == route.KindHeartbeat && !k.keepKnown() {
		return nil
	}
	k.accepted++
	if k.o.Kind == route.KindReceipt && k.h.o.Own != nil && k.h.o.Own(&k.o, k.h.known) {
		return nil
	}
	return k.join(&k.o)
}

func (k *work) join(o *route.Observation) error {
	if int(o.Kind) < len(k.taken) {
		k.taken[o.Kind]++
	}
	k.h.o.Joiner.Join(o, k.emit)
	if len(k.batch) < maxChunk {
		return nil
	}
	return k.handOver()
}

func (k *work) add(o *route.Observation) {
	k.batch = append(k.batch, *o)
	k.batch[len(k.batch)-1].Message = ""
}

func (k *work) handOver() error {
	err := k.h.handOver(k.ctx, k.batch)
	clear(k.batch) // what waits in the pool must not keep anything alive
	k.batch = k.batch[:0]
	return err
}

func (k *work) refuse(r *Refusal) {
	k.h.metrics.refused[r.Reason].Inc()
	k.refusedTotal++
	if len(k.refused) < maxListed {
		k.refused = append(k.refused, refusedLine{r.Line, r.Why})
	}
}

// keepKnown leaves routes that the policy does not have out of a heartbeat, and says so: the routes that it has must not
// become unknown because a gateway runs others too.
func (k *work) keepKnown() bool {
	if k.h.o.Known == nil || len(k.o.Routes) == 0 {
		return true
	}
	known := k.o.Routes[:0]
	for i, id := range k.o.Routes {
		if k.h.o.Known(id) {
			known = append(known, id)
			continue
		}
		why := fmt.Sprintf("routes[%d]: %s", i, k.h.unknown(id))
		k.refuse(&Refusal{Line: k.decoder.line, Why: why, Reason: ReasonRoute})
	}
	k.o.Routes = known
	return len(known) > 0
}

// check is what only a running signalbox can say of an observation: its policy's routes and its clock.
func (h *Handler) check(o *route.Observation, now time.Time) *Refusal {
	if o.Route != "" && h.o.Known != nil && !h.o.Known(o.Route) {
		return &Refusal{Why: "route: " + h.unknown(o.Route), Reason: ReasonRoute}
	}
	if o.Class != "" && h.o.Class != nil {
		if judged, near := h.o.Class(o.Class); !judged {
			why := fmt.Sprintf("class: want a class that a lane of the policy serves, got %q", o.Class)
			if near != "" {
				why += fmt.Sprintf(" (did you mean %q?)", near)
			}
			return &Refusal{Why: why, Reason: ReasonField}
		}
	}
	for i, t := range [...]time.Time{o.Time, o.Submitted, o.Sent} {
		if ahead := t.Sub(now); ahead > h.o.MaxAhead {
			name := [...]string{"time", "submit_time", "sent"}[i]
			return &Refusal{Reason: ReasonClock, Why: fmt.Sprintf("%s: want at most %s ahead of the clock here, got %s ahead (%s here)",
				name, h.o.MaxAhead, ahead.Round(time.Millisecond), now.UTC().Format(time.RFC3339))}
		}
	}
	return nil
}

func (h *Handler) unknown(id route.ID) string {
	why := fmt.Sprintf("want a route of the policy, got %q", id)
	if h.o.Suggest != nil {
		if near := h.o.Suggest(id); near != "" {
			why += fmt.Sprintf(" (did you mean %q?)", near)
		}
	}
	return why
}

// Take joins observations that came another way than POST /events, and hands them over: receipts in providers' own
// formats go this way, so that both count once. The observations must keep the bounds of a Decoder; their Message is not
// kept. Take changes them. After an error from before joining, none was taken; after a later one all were, and sending
// them again makes duplicates, which count once.
func (h *Handler) Take(ctx context.Context, observations []route.Observation) error {
	if err := h.settle(ctx); err != nil {
		return err
	}
	k := h.work(ctx)
	defer h.end(k)
	var errs []error
	for i := range observations {
		errs = append(errs, k.join(&observations[i]))
	}
	return errors.Join(append(errs, k.handOver())...)
}

// handOver gives a batch to the sink; what the sink does not take is owed.
func (h *Handler) handOver(ctx context.Context, batch []route.Observation) error {
	for len(batch) > 0 {
		n := min(len(batch), maxChunk)
		if err := h.o.Sink(ctx, batch[:n]); err != nil {
			h.mu.Lock()
			h.owed = append(h.owed, slices.Clone(batch))
			h.mu.Unlock()
			return fmt.Errorf("hand over observations: %w", err)
		}
		batch = batch[n:]
	}
	return nil
}

// settle hands over what is owed. Another request meanwhile sees no debt and goes on.
func (h *Handler) settle(ctx context.Context) error {
	h.mu.Lock()
	owed := h.owed
	h.owed = nil
	h.mu.Unlock()
	var errs []error
	for _, batch := range owed {
		errs = append(errs, h.handOver(ctx, batch))
	}
	return errors.Join(errs...)
}

func sinkProblem(err error) *problem {
	if errors.Is(err, ErrFull) {
		return &problem{Status: http.StatusTooManyRequests,
			Detail: "the queue is full; send the batch again later, lines that were taken count once"}
	}
	return &problem{Status: http.StatusServiceUnavailable, Detail: err.Error()}
}
