package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	maxTable  = 64 << 20               // bytes of a table
	slack     = 10 * time.Second       // that an answer may take beside the wait
	afterNews = 250 * time.Millisecond // while thousands of others read the same news
)

func newHTTP(config *tls.Config) *http.Client {
	dial := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dial.DialContext, TLSClientConfig: config.Clone(), TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// watch keeps the table up to date until ctx is done.
func (c *Client) watch(ctx context.Context) {
	replicas := turns{all: c.servers}
	at := replicas.next()
	failing := backoff{most: c.o.MaxBackoff}
	for ctx.Err() == nil {
		began := time.Now()
		taken, err := c.poll(ctx, at)
		if ctx.Err() != nil {
			return
		}
		c.noteClimate(err)
		switch {
		case err != nil:
			at = replicas.next()
			rest(ctx, failing.next(askedPause(err)))
			continue
		case taken:
			rest(ctx, afterNews)
		default:
			at = replicas.next() // this one may be cut off from the news itself
			if time.Since(began) < c.o.Wait/2 {
				rest(ctx, c.o.Interval) // it does not wait
			}
		}
		failing.reset()
	}
}

// poll asks one server, takes what it answers, and lets it know.
func (c *Client) poll(ctx context.Context, at *url.URL) (taken bool, err error) {
	a, err := c.ask(ctx, at)
	if err == nil && a != nil {
		taken, err = c.take(ctx, a)
	}
	if r := (*refusal)(nil); errors.As(err, &r) {
		c.say(said{Generation: r.generation, Why: r.why, to: at})
	}
	if err == nil {
		c.confirm(at)
	}
	return taken, err
}

// noteClimate keeps how the last poll went, and logs when that changes.
func (c *Client) noteClimate(err error) {
	var was Status
	now := ""
	if err != nil {
		now = err.Error()
	}
	c.note(func(s *Status) {
		was = *s
		s.Err, s.Refused = now, ""
		if r := (*refusal)(nil); errors.As(err, &r) {
			s.Refused = r.why
		}
		if err == nil {
			s.Heard = time.Now()
		}
	})
	switch {
	case err != nil && now != was.Err:
		c.log.Warn("table not refreshed", "err", err)
	case err == nil && was.Err != "":
		c.log.Info("table refreshed again")
	}
}

// ask polls; nil is nothing new.
func (c *Client) ask(ctx context.Context, at *url.URL) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Wait+c.o.Wait/16+slack)
	defer cancel()
	r, err := c.request(ctx, http.MethodGet, at, "routes", nil)
	if err != nil {
		return nil, err
	}
	r.URL.RawQuery = c.narrows()
	held := c.Table()
	if held != nil {
		r.Header.Set("If-None-Match", `"`+held.Generation.String()+`"`)
		r.Header.Set("Prefer", "wait="+strconv.Itoa(int(c.o.Wait/time.Second)))
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && held != nil:
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, newStatusError(resp)
	}
	plain, err := io.ReadAll(io.LimitReader(resp.Body, maxTable+1))
	if err == nil && len(plain) > maxTable {
		err = fmt.Errorf("want a table of at most %d bytes, got more", maxTable)
	}
	return &answer{plain, strings.Join(resp.Header.Values("Signalbox-Signature"), ", ")}, err
}

func (c *Client) narrows() string {
	q := url.Values{}
	if c.o.Class != "" {
		q.Set("class", c.o.Class)
	}
	if c.o.Network != "" {
		q.Set("network", c.o.Network)
	}
	return q.Encode()
}

// request makes a request to a server, with the token.
func (c *Client) request(ctx context.Context, method string, at *url.URL, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, at.JoinPath(path).String(), body)
	if err != nil {
		return nil, err
	}
	token := c.o.Token
	if c.o.TokenFile != "" {
		b, err := os.ReadFile(c.o.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, nil
}

// statusError is an answer that was not wanted.
type statusError struct {
	code  int
	text  string
	after time.Duration // that the server asks to wait
}

// Error is the status and what the server said about it.
func (e *statusError) Error() string { return e.text }

func newStatusError(resp *http.Response) *statusError {
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // a part of it is better than nothing
	e := &statusError{code: resp.StatusCode, text: strings.TrimSpace(fmt.Sprintf("%s %s: %s %q", resp.Request.Method, resp.Request.URL.Redacted(), resp.Status, said))}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.after = time.Duration(min(s, 3600)) * time.Second
	}
	return e
}

// askedPause is how long the server wants to be left alone; 0 where it did not say.
func askedPause(err error) time.Duration {
	var e *statusError
	if errors.As(err, &e) {
		return e.after
	}
	return 0
}
