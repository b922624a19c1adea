package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// callWithin is how long one receiver may take to answer; Standard Webhooks says 15 to 30 s.
const callWithin = 20 * time.Second

// DialFunc connects to a receiver.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// The results of an attempt.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed"   // tried again later
	resultGone      = "gone"     // it answered 410: nothing more is sent before a reload
	resultGivenUp   = "given_up" // it failed for 75 hours
	resultDropped   = "dropped"  // too many waited
)

var results = []string{resultDelivered, resultFailed, resultGone, resultGivenUp, resultDropped}

// caller posts to one receiver.
type caller struct {
	poster
	client *http.Client
}

func newCaller(p poster, dial DialFunc) *caller {
	if dial == nil {
		dial = (&net.Dialer{Timeout: callWithin / 2}).DialContext
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dial, TLSClientConfig: p.tls, MaxIdleConnsPerHost: 1,
		IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true}
	return &caller{p, &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (c *caller) close() { c.client.CloseIdleConnections() }

// answer is what became of one call.
type answer struct {
	result string
	text   string        // the status, or what went wrong; never a URL
	said   string        // the begin of the answer's body
	after  time.Duration // how long the receiver wants to be left alone; 0: it does not say
	took   time.Duration
}

// post sends a body and waits for the answer, at most callWithin.
func (c *caller) post(ctx context.Context, headers http.Header, body []byte) (a answer) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return answer{result: resultFailed, text: "the URL cannot be used"}
	}
	for name, values := range c.headers {
		r.Header[name] = values
	}
	for name, values := range headers {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "signalbox")
	resp, err := c.client.Do(r)
	if err != nil {
		c.client.CloseIdleConnections() // a connection that died in silence must not fail the next call too
		return answer{result: resultFailed, text: whyFailed(err)}
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status has said all that counts
	a = judge(resp, time.Now())
	a.said = firstWords(string(said))
	return a
}

// judge says what an answer means: only 2xx is good, and a redirect is as bad as any other.
func judge(resp *http.Response, now time.Time) answer {
	a := answer{result: resultFailed, text: strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))}
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		a.result = resultDelivered
	case code == http.StatusGone:
		a.result = resultGone
	case code >= 300 && code < 400:
		a.text += ", and redirects are not followed"
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable || code == http.StatusBadGateway || code == http.StatusGatewayTimeout:
		a.after = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return a
}

// retryMost bounds what a receiver may ask for.
const retryMost = 24 * time.Hour

// retryAfter reads seconds or a date, as RFC 9110 has them; 0 where there is none.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(min(n, int(retryMost/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), retryMost)
	}
	return 0
}

// whyFailed is an error of a call without the URL, which may be a secret.
func whyFailed(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", callWithin)
	case errors.Is(err, context.Canceled):
		return "signalbox stopped meanwhile"
	case errors.As(err, &dns):
		return "its name is not known: " + dns.Err
	}
	return firstWords(err.Error())
}

// firstWords is the begin of a stranger's text on one line, without what would steer a terminal.
func firstWords(s string) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	return clip(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line), 200)
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}
