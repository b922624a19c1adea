package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Where commands that ask a running signalbox find it.
const (
	serverEnv     = "SIGNALBOX_SERVER"
	defaultServer = "http://127.0.0.1:9465"
)

// How long one question may take, beside the wait that it asks for; and how much of an answer is read.
const (
	askWithin  = 10 * time.Second
	answerMost = 256 << 20
)

// client asks a running signalbox.
type client struct {
	base   *url.URL
	http   http.Client
	bearer *bearer // nil before present
	who    credentials
	tls    *tls.Config // of present; nil: the system's
}

// addServer adds the flag that names the server. The function it returns makes the client once flags have been read.
func addServer(c *cobra.Command) func() (*client, error) {
	server := c.Flags().String("server", defaultServer, "the URL of a running signalbox; "+serverEnv+" in the environment says it too")
	var who credentials
	addCredentials(c, &who)
	return func() (*client, error) {
		s, err := serverOf(c, *server)
		if err == nil {
			err = s.present(who)
		}
		return s, err
	}
}

// serverOf is the client of the server that the flag names, or the environment where the flag is not given.
func serverOf(c *cobra.Command, flag string) (*client, error) {
	if from := os.Getenv(serverEnv); from != "" && !c.Flags().Changed("server") {
		return newClient(serverEnv, from)
	}
	return newClient("--server", flag)
}

// newClient returns the client of a server; from is where its URL was named.
func newClient(from, server string) (*client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, wrong("", fmt.Errorf("%s: want a URL such as %s, got %q", from, defaultServer, server))
	}
	return &client{base: base, http: http.Client{CheckRedirect: sameServer}}, nil
}

// name is the server's URL as it may be shown: without a password.
func (c *client) name() string { return c.base.Redacted() }

// answer is what signalbox said.
type answer struct {
	body []byte    // nil: nothing new
	at   time.Time // when, by its own clock
	etag string
}

// read decodes the answer.
func (a *answer) read(c *client, into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return wrong(namesServer, fmt.Errorf("%s answered what cannot be read: %w", c.name(), err))
	}
	return nil
}

// get asks for a path.
func (c *client) get(ctx context.Context, path string, query url.Values) (*answer, error) {
	return c.ask(ctx, path, query, "", 0)
}

// ask asks for a path. With an entity tag it waits for another answer than the one that has the tag, and returns an
// answer without a body where none came in time.
func (c *client) ask(ctx context.Context, path string, query url.Values, etag string, wait time.Duration) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin+wait+wait/16)
	defer cancel()
	to := c.base.JoinPath(path)
	to.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, wrong("", err)
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
		r.Header.Set("Prefer", fmt.Sprintf("wait=%d", wait/time.Second))
	}
	return c.do(r, askWithin)
}

// post asks with JSON, and waits for the answer for so long.
func (c *client) post(ctx context.Context, path string, query url.Values, body any, within time.Duration) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	data, err := json.Marshal(body)
	if err != nil {
		return nil, wrong("", err)
	}
	to := c.base.JoinPath(path)
	to.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(data))
	if err != nil {
		return nil, wrong("", err)
	}
	r.Header.Set("Content-Type", "application/json")
	return c.do(r, within)
}

// do asks, and wants the answer in the time of the request.
func (c *client) do(r *http.Request, within time.Duration) (*answer, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.away(err, within)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return nil, c.away(err, within)
	}
	return c.take(resp, body)
}

// take makes an answer of a response.
func (c *client) take(resp *http.Response, body []byte) (*answer, error) {
	a := &answer{at: time.Now(), etag: resp.Header.Get("ETag")}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.at = at
	}
	switch resp.StatusCode {
	case http.StatusNotModified:
		return a, nil
	case http.StatusOK, http.StatusCreated:
		a.body = body
		return a, nil
	}
	return nil, c.refused(resp, body)
}

const (
	startsServer = "signalbox run --policy DIR starts one; --server URL or " + serverEnv + " names one elsewhere"
	namesServer  = "--server URL or " + serverEnv + " names the one to ask"
)

// errAway marks failures that may be over in a moment.
var errAway = errors.New("no answer")

// away is the failure of a server that does not answer.
func (c *client) away(err error, within time.Duration) error {
	why := err
	var op *net.OpError
	var u *url.Error
	switch {
	case isStrange(err):
		return wrong("--ca-file FILE names the certificates to trust", fmt.Errorf("%s: %w", c.name(), errors.Unwrap(err)))
	case errors.Is(err, context.DeadlineExceeded):
		why = fmt.Errorf("nothing within %s", span(within))
	case errors.As(err, &op):
		why = op.Err
	case errors.As(err, &u):
		why = u.Err
	}
	var call *os.SyscallError
	if errors.As(why, &call) {
		why = call.Err
	}
	return wrong(startsServer, fmt.Errorf("%w from %s: %w", errAway, c.name(), why))
}

// problem is an error as signalbox tells it, after RFC 9457.
type problem struct {
	Type      string   `json:"type"`
	Detail    string   `json:"detail"`
	Parameter string   `json:"parameter"`
	Problems  []string `json:"problems"`
	See       []string `json:"see"`
	Guard     string   `json:"guard"`    // that refused an order
	Frees     string   `json:"frees"`    // what would free it
	Override  string   `json:"override"` // how to pass it over; "" where nobody can
	With      string   `json:"with"`     // what came before an order
}

// arguments are the parameters that commands take without a flag.
var arguments = []string{"route", "receiver"}

// told is the problem in words; a parameter is called as the flag that it came from.
func (p *problem) told() error {
	if p.Parameter != "" && !slices.Contains(arguments, p.Parameter) && strings.HasPrefix(p.Detail, p.Parameter+": ") {
		p.Detail = "--" + p.Detail
	}
	return errors.New(strings.Join(append([]string{p.Detail}, p.Problems...), "\n"))
}

// replaces is the hint for an order where another is in force.
func (p *problem) replaces() string {
	if !strings.HasPrefix(p.Detail, "override ") {
		return "signalbox proposals lists what waits"
	}
	return "--replace " + p.With + " puts this one in its place"
}

// guarded is the refusal of a guard, with what would free the order.
func (p *problem) guarded() error {
	text := p.Detail
	if p.Frees != "" {
		text += "; what would free it: " + p.Frees
	}
	return fmt.Errorf("%w by the guard %s", errGuard, text)
}

// refused is the failure of an answer that is not what was asked for.
func (c *client) refused(resp *http.Response, body []byte) error {
	var p problem
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return wrong(namesServer, fmt.Errorf("%s answered %s, which signalbox does not say", c.name(), resp.Status))
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return wrong(saysWho, fmt.Errorf("%s does not let us in: %w", c.name(), p.told()))
	case p.Type == problemForbidden:
		return wrong(anotherRole, fmt.Errorf("%s does not let us do that: %w", c.name(), p.told()))
	case p.Type == problemNotWarm:
		return wrong(tryAgain(resp), fmt.Errorf("%w: %s is not warm: it has published no table since it started", errAway, c.name()))
	case p.Type == problemNoLane:
		return no(showsLanes, p.told())
	case p.Type == problemNoMessage:
		return no("", p.told())
	case p.Type == problemNotFound && slices.Contains(p.See, "/routes"): // not even the path is there
		return wrong("is it of another version?", fmt.Errorf("%s cannot tell: %w", c.name(), p.told()))
	case p.Type == problemNotFound && slices.Contains(p.See, "/api/v1/decisions"):
		return no("signalbox history --all lists the decisions that are kept", p.told())
	case p.Type == problemNotFound && slices.Contains(p.See, "/api/v1/overrides"):
		return no("signalbox overrides lists what is in force", p.told())
	case p.Type == problemNotFound:
		return no(showsLanes, p.told())
	case p.Type == problemRejected:
		return no("signalbox check DIR tries it here; signalbox schema helps your editor", p.told())
	case p.Type == problemTooFast:
		return wrong(tryAgain(resp), fmt.Errorf("%s: %w", c.name(), p.told()))
	case p.Type == problemStale:
		return no("look again", fmt.Errorf("%w: %w", errMoved, p.told()))
	case p.Type == problemGuard:
		return no(p.Override, p.guarded())
	case p.Type == problemConflict:
		return no(p.replaces(), p.told())
	case p.Type == problemBusy:
		return wrong(tryAgain(resp), fmt.Errorf("%s is busy: %w", c.name(), p.told()))
	case p.Type == problemNotStored:
		return no("nothing changes, by rules or by hand, until the disk takes writes again; senders keep their table", p.told())
	case resp.StatusCode >= 500:
		return wrong("", fmt.Errorf("%w: %s: %w", errAway, c.name(), p.told()))
	}
	return wrong("", p.told())
}

const showsLanes = "signalbox routes shows all lanes and their routes"

// The problems that commands tell apart.
const (
	problemNotWarm   = "urn:signalbox:problem:not-warm"
	problemNoLane    = "urn:signalbox:problem:no-lane"
	problemNoMessage = "urn:signalbox:problem:no-message"
	problemNotFound  = "urn:signalbox:problem:not-found"
	problemRejected  = "urn:signalbox:problem:policy-rejected"
	problemForbidden = "urn:signalbox:problem:forbidden"
	problemTooFast   = "urn:signalbox:problem:too-many-requests"
	problemBusy      = "urn:signalbox:problem:busy"
	problemStale     = "urn:signalbox:problem:stale"
	problemGuard     = "urn:signalbox:problem:guard-refused"
	problemNotStored = "urn:signalbox:problem:not-stored"
	problemConflict  = "urn:signalbox:problem:conflict"
)

func tryAgain(resp *http.Response) string {
	if after := resp.Header.Get("Retry-After"); after != "" {
		return "ask again in " + after + "s; its log says what it waits for"
	}
	return "ask again in a moment; its log says what it waits for"
}

// newListing makes a command that prints what the server has under /api/v1/ and the command's name.
func newListing[T any](name, short, long string, print func(w io.Writer, got *T, now time.Time) error) *cobra.Command {
	var output string
	c := &cobra.Command{Use: name, Short: short, Long: long, Args: takes()}
	addOutput(c, &output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		a, err := s.get(cmd.Context(), "/api/v1/"+name, nil)
		if err != nil {
			return err
		}
		if output == "json" {
			return printLine(s, a, cmd.OutOrStdout())
		}
		var got T
		if err := a.read(s, &got); err != nil {
			return err
		}
		return print(cmd.OutOrStdout(), &got, a.at)
	}
	return c
}
