package alert

import (
	"slices"
	"sync"
	"time"
)

// Receiver is how one receiver stands.
type Receiver struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`             // webhook or alertmanager
	Format     string    `json:"format,omitempty"` // of a webhook
	Waiting    int       `json:"waiting"`          // events in the outbox
	Oldest     time.Time `json:"oldest,omitzero"`  // of those
	LastTry    time.Time `json:"last_try,omitzero"`
	LastAnswer string    `json:"last_answer,omitempty"` // the status, or what went wrong
	Failures   int       `json:"failures"`              // in a row, up to now
	NextTry    time.Time `json:"next_try,omitzero"`     // where the last one failed
	GivenUp    int       `json:"given_up"`              // events that it was never told, since the last reload
	Disabled   bool      `json:"disabled,omitempty"`    // it answered 410; a reload tries it again
}

// Attempt is one delivery that was tried.
type Attempt struct {
	Time     time.Time `json:"time"`
	Receiver string    `json:"receiver"`
	Event    string    `json:"event,omitempty"`  // its id; none to Alertmanager, which is told everything that holds
	Type     Type      `json:"type,omitempty"`   // and type
	Number   int       `json:"attempt"`          // in a row, from 1
	Result   string    `json:"result"`           // delivered, failed or gone
	Answer   string    `json:"answer,omitempty"` // the status, or what went wrong
	Said     string    `json:"said,omitempty"`   // of a test: the begin of the answer's body
	Took     float64   `json:"took"`             // seconds
}

// Alert is something that holds now.
type Alert struct {
	Labels  map[string]string `json:"labels"`
	Since   time.Time         `json:"since,omitzero"`
	Summary string            `json:"summary"`
	Text    string            `json:"text,omitempty"`
}

// Report is how alerts stand.
type Report struct {
	Receivers  []Receiver `json:"receivers"`
	Alerts     []Alert    `json:"alerts"`     // that hold now
	Deliveries []Attempt  `json:"deliveries"` // the last ones, newest first
}

// Report says how alerts stand; what it returns becomes JSON.
func (a *Alerts) Report() any {
	r := Report{Receivers: a.receivers(), Alerts: []Alert{}, Deliveries: a.history.newest()}
	firing, _ := a.watch.now()
	for _, c := range firing {
		r.Alerts = append(r.Alerts, Alert{Labels: c.About.labels(nil), Since: c.Since, Summary: c.Summary, Text: c.Text})
	}
	return r
}

func (a *Alerts) receivers() []Receiver {
	t := a.team.Load()
	out := []Receiver{}
	for _, w := range t.workers {
		out = append(out, w.now())
	}
	for _, c := range t.couriers {
		out = append(out, c.now())
	}
	return out
}

// historyMost is how many attempts are remembered.
const historyMost = 200

// history are the last attempts.
type history struct {
	mu  sync.Mutex // guards all
	all []Attempt  // oldest first
}

func (h *history) add(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == historyMost {
		h.all = slices.Delete(h.all, 0, 1)
	}
	h.all = append(h.all, a)
}

func (h *history) newest() []Attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := append([]Attempt{}, h.all...)
	slices.Reverse(out)
	return out
}
