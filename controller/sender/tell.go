package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

const (
	tellEvery  = time.Minute // the same again, so that the sender is known to be there
	tellWithin = 5 * time.Second
	maxWhy     = 1024
)

// said is a word of this sender about a table.
type said struct {
	Generation Generation `json:"generation"`
	Applied    bool       `json:"applied"`
	Why        string     `json:"why,omitempty"`
	to         *url.URL   // whoever gave the table; nil: anyone
}

// say hands over a word to be told, in place of one that was not told yet. The same word again is not told at once.
func (c *Client) say(s said) {
	s.Why = s.Why[:min(len(s.Why), maxWhy)]
	c.mu.Lock()
	again := s == c.last
	c.last = s
	c.mu.Unlock()
	if again {
		return
	}
	select {
	case <-c.says:
	default:
	}
	c.says <- s // there is room: only the goroutine that polls, and New before it, say anything
}

// tell tells the last word, at once and then every minute, until ctx is done.
func (c *Client) tell(ctx context.Context) {
	var word *said
	replicas := turns{all: c.servers}
	failing := backoff{most: c.o.MaxBackoff}
	timer := time.NewTimer(tellEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-c.says:
			word = &s
		case <-timer.C:
		}
		pause := tellEvery
		if word != nil {
			if err := c.put(ctx, word, &replicas); err != nil && ctx.Err() == nil {
				c.log.Debug("table not confirmed", "generation", word.Generation.String(), "err", err)
				pause = failing.next(askedPause(err))
			} else {
				failing.reset()
			}
		}
		timer.Reset(jittered(pause))
	}
}

func (c *Client) put(ctx context.Context, s *said, replicas *turns) error {
	to := s.to
	if to == nil {
		to = replicas.next()
	}
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	r, err := c.request(ctx, http.MethodPut, to, "senders/"+url.PathEscape(c.o.Name), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return newStatusError(resp)
	}
	return nil
}
