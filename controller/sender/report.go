package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	beatEvery  = 10 * time.Second
	postWithin = 10 * time.Second
	lastTry    = 5 * time.Second // for what waits when the sender ends
)

// reporter hands the spool over to signalbox. It belongs to one goroutine.
type reporter struct {
	c        *Client
	replicas turns
	at       *url.URL
	failing  backoff
	lines    int       // of the next batch: fewer where a server found one too large
	beat     time.Time // of the last heartbeat
	unsaved  bool      // the last save failed
	silent   bool      // the last post failed
}

// report sends what waits every second, and sooner where it is much, until ctx is done; then it tries once more.
func (c *Client) report(ctx context.Context) {
	r := &reporter{c: c, replicas: turns{all: c.servers}, failing: backoff{most: c.o.MaxBackoff}, lines: batchLines}
	r.at = r.replicas.next()
	timer := time.NewTimer(jittered(c.o.flush))
	defer timer.Stop()
	full := c.spool.full
	for {
		select {
		case <-ctx.Done():
			r.end(ctx)
			return
		case <-full:
		case <-timer.C:
		}
		pause := c.o.flush
		full = c.spool.full
		r.save()
		if err := r.flush(ctx); err != nil && ctx.Err() == nil {
			pause = max(pause, r.failing.next(askedPause(err)))
			full = nil // a full spool does not make a server answer
		}
		timer.Reset(jittered(pause))
	}
}

// end makes the last try, and keeps what is left.
func (r *reporter) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTry)
	defer cancel()
	r.save()
	_ = r.flush(ctx) // it has been said
	if r.c.spool.path != "" {
		if err := errors.Join(r.c.spool.rewrite(), r.c.spool.close()); err != nil {
			r.c.log.Warn("events not kept", "file", r.c.o.SpoolFile, "err", err)
		}
	}
	if n, _ := r.c.spool.count(); n > 0 {
		r.c.log.Warn("events not taken at the end", "err", fmt.Sprintf("%d events wait, in a file: %t", n, r.c.spool.path != ""))
	}
}

// save keeps events on disk, and says once when that begins to fail.
func (r *reporter) save() {
	err := r.c.spool.save()
	if err != nil && !r.unsaved {
		r.c.log.Warn("events not kept", "file", r.c.o.SpoolFile, "err", err)
	}
	r.unsaved = err != nil
}

// flush posts all that waits, in batches, and a heartbeat behind the last of them where one is due.
func (r *reporter) flush(ctx context.Context) error {
	for {
		body, n, next := r.c.spool.batch(r.lines)
		waiting, _ := r.c.spool.count()
		beats := waiting == n && len(r.c.o.Routes) > 0 && time.Since(r.beat) >= beatEvery
		if beats {
			body = append(body, r.c.heartbeat()...)
		}
		if len(body) == 0 {
			return nil
		}
		if err := r.post(ctx, body, n, next); err != nil {
			return err
		}
		if beats {
			r.beat = time.Now()
		}
	}
}

func (c *Client) heartbeat() []byte {
	text, err := json.Marshal(&line{Type: "heartbeat", Time: time.Now().UTC(), Source: c.o.Name, Routes: c.o.Routes})
	if err != nil {
		return nil // they are texts
	}
	return append(text, '\n')
}

// post posts a batch of n events, and forgets those that signalbox has taken or will never take.
func (r *reporter) post(ctx context.Context, body []byte, n int, next uint64) error {
	refused, err := r.c.postTo(ctx, r.at, body)
	var status *statusError
	switch {
	case err == nil:
		r.settled(n, refused, next)
		return nil
	case errors.As(err, &status) && status.code == http.StatusRequestEntityTooLarge && n > 1:
		r.lines = max(1, n/2)
		return nil
	case errors.As(err, &status) && hopeless(status.code):
		r.c.log.Error("events refused", "err", err)
		r.settled(n, n, next)
		return nil
	}
	if !r.silent {
		r.c.log.Warn("events not taken", "err", err)
	}
	r.silent = true
	r.at = r.replicas.next()
	return err
}

// settled counts a batch off.
func (r *reporter) settled(n, refused int, next uint64) {
	if r.silent {
		r.c.log.Info("events taken again")
	}
	r.silent = false
	r.failing.reset()
	r.lines = min(batchLines, 2*r.lines)
	refused = min(refused, n)
	r.c.spool.done(next)
	r.c.note(func(s *Status) {
		s.Sent += uint64(n - refused)
		s.EventsRefused += uint64(refused)
	})
}

// hopeless reports whether the same batch would be answered so for ever. Missing rights, paths and time are not: somebody
// may mend them.
func hopeless(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired,
		http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return code >= 400 && code < 500
}

// taken is what signalbox answers to events.
type taken struct {
	Refused []struct {
		Line int    `json:"line"`
		Why  string `json:"why"`
	} `json:"refused"`
	RefusedTotal int `json:"refused_total"`
}

// postTo posts lines to a server, and returns how many of them it refused for good.
func (c *Client) postTo(ctx context.Context, at *url.URL, body []byte) (refused int, err error) {
	ctx, cancel := context.WithTimeout(ctx, postWithin)
	defer cancel()
	r, err := c.request(ctx, http.MethodPost, at, "events", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, newStatusError(resp)
	}
	var t taken
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&t); err != nil {
		return 0, fmt.Errorf("post events: want the answer of signalbox, got another: %w", err)
	}
	refused = max(t.RefusedTotal, len(t.Refused))
	if refused > 0 && len(t.Refused) > 0 {
		c.log.Warn("events refused", "err", fmt.Sprintf("%d of a batch, the first: %s", refused, t.Refused[0].Why))
	}
	return refused, nil
}
