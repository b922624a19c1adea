package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"signalbox/rules/route"
)

// demoLine is one line of what the sender reports: an observation as POST /events takes it.
type demoLine struct {
	Type       string            `json:"type"`
	Time       time.Time         `json:"time"`
	Source     string            `json:"source"`
	ID         string            `json:"id,omitempty"`
	Route      route.ID          `json:"route,omitempty"`
	Class      route.Class       `json:"class,omitempty"`
	Network    route.Network     `json:"network,omitempty"`
	Result     string            `json:"result,omitempty"`
	Code       string            `json:"code,omitempty"`
	Latency    float64           `json:"latency,omitempty"` // seconds
	Generation *route.Generation `json:"generation,omitempty"`
	Status     string            `json:"status,omitempty"`
	Routes     []route.ID        `json:"routes,omitempty"`
	*route.Baseline
}

const (
	demoFlushEvery = 100 * time.Millisecond
	demoBeatEvery  = 5 * time.Second
)

// demoReporter tells signalbox what the sender saw, in batches.
type demoReporter struct {
	web *demoWeb

	mu      sync.Mutex // guards waiting
	waiting []demoLine // in no order; those of the future wait for their time
}

// add takes a line to be reported once its time has come.
func (r *demoReporter) add(l demoLine) {
	l.Source = demoSource
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, l)
}

// due takes out the lines whose time has come, in the order of their times.
func (r *demoReporter) due(now time.Time) []demoLine {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []demoLine
	r.waiting = slices.DeleteFunc(r.waiting, func(l demoLine) bool {
		if l.Time.After(now) {
			return false
		}
		due = append(due, l)
		return true
	})
	slices.SortStableFunc(due, func(a, b demoLine) int { return a.Time.Compare(b.Time) })
	return due
}

// run reports until ctx is done. Without heartbeats a sender with nothing to say could not be told from a dead one, and
// signalbox would call its routes unknown instead of silent.
func (r *demoReporter) run(ctx context.Context) error {
	var routes []route.ID
	for i := range demoSite {
		routes = append(routes, demoSite[i].id)
	}
	r.add(demoLine{Type: "heartbeat", Time: time.Now(), Routes: routes})
	flush, beat := time.NewTicker(demoFlushEvery), time.NewTicker(demoBeatEvery)
	defer flush.Stop()
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-beat.C:
			r.add(demoLine{Type: "heartbeat", Time: now, Routes: routes})
		case now := <-flush.C:
			if err := r.send(ctx, r.due(now)); err != nil {
				return unlessStopped(ctx, err)
			}
		}
	}
}

// send posts a batch. A line that is refused is an error: then the demo is not what it says it is.
func (r *demoReporter) send(ctx context.Context, lines []demoLine) error {
	if len(lines) == 0 {
		return nil
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	for i := range lines {
		if err := e.Encode(&lines[i]); err != nil {
			return err
		}
	}
	var took struct {
		Refused []struct {
			Line int    `json:"line"`
			Why  string `json:"why"`
		} `json:"refused"`
	}
	if err := r.web.post(ctx, "/events", "application/x-ndjson", &body, &took); err != nil {
		return err
	}
	if len(took.Refused) > 0 {
		f := took.Refused[0]
		return fmt.Errorf("post /events: line %d was refused: %s", f.Line, f.Why)
	}
	return nil
}

// demoWeb asks the daemon over HTTP, as any other program would.
type demoWeb struct {
	base string
	http *http.Client
}

func newDemoWeb(base string) *demoWeb {
	return &demoWeb{base, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 90 * time.Second}}
}

func (w *demoWeb) close() { w.http.CloseIdleConnections() }

// get reads the JSON at a path.
func (w *demoWeb) get(ctx context.Context, path string, into any) error {
	_, err := w.ask(ctx, http.MethodGet, path, nil, nil, into)
	return err
}

func (w *demoWeb) post(ctx context.Context, path, kind string, body io.Reader, into any) error {
	_, err := w.ask(ctx, http.MethodPost, path, http.Header{"Content-Type": {kind}}, body, into)
	return err
}

// ask does one request and decodes its answer, where there is one; other answers than 2xx and 304 are errors.
func (w *demoWeb) ask(ctx context.Context, method, path string, header http.Header, body io.Reader, into any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, body)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	case resp.StatusCode == http.StatusNotModified || resp.StatusCode == http.StatusNoContent:
		return resp, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(data))
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return resp, nil
}
