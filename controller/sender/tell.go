package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
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
	s.Why = shortened(s.Why, maxWhy)
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

// shortened is a text of at most so many bytes of whole characters, as it comes out of JSON.
func shortened(text string, most int) string {
	text = strings.ToValidUTF8(text, "?")
	for len(text) > most {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

// tell tells the last word, at once and then every minute, until ctx is done.
func (c *Client) tell(ctx context.Context) {
	var word *said
	replicas := turns{all: c.servers}
	failing := backoff{most: c.o.MaxBackoff}
	refused := false // what was told last; the log has it
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
				refused = c.unheard(word, err, refused)
				pause = failing.next(askedPause(err))
			} else {
				refused = false
				failing.reset()
			}
		}
		timer.Reset(jittered(pause))
	}
}

// unheard logs that a word was not taken, and reports whether that is because it was refused: then it is told loudly, once,
// as nobody there knows of this sender. That no server answers is told by whoever polls.
func (c *Client) unheard(word *said, err error, before bool) (refused bool) {
	var status *statusError
	level := slog.LevelDebug
	if refused = errors.As(err, &status) && status.code >= 400 && status.code < 500 && status.code != http.StatusTooManyRequests; refused && !before {
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "table not confirmed", "generation", word.Generation.String(), "err", err)
	return refused || before
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
