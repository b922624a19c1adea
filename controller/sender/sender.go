// Package sender is the client of signalbox for programs that send messages: it keeps the table of routes up to date and
// on disk, picks the route of each message, says which table it runs, and reports submits and receipts. It needs nothing
// but the standard library: import it, or copy the folder.
//
//	c, err := sender.New(sender.Options{Name: "gw-1", Servers: []string{"http://127.0.0.1:9465"}, File: "table.txt"})
//	go c.Run(ctx)
//	choice, err := c.Pick("otp", "234-15", messageID)
//
// A table stays in force for as long as there is no better one: whatever happens to signalbox, Pick goes on.
package sender

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Client. Name and Servers are required; other zero fields mean the documented default.
type Options struct {
	// Name is what this sender is called in signalbox: letters, digits and . _ : @ - only, at most 128. Two processes
	// must not have the same.
	Name string
	// Servers are the URLs of signalbox, one or several replicas. They are asked in random order, one at a time:
	// the next one after each failure, and after each wait that ended without news.
	Servers []string
	// Class and Network narrow the table to the lanes that these messages can come across; empty narrows nothing.
	Class, Network string
	// File keeps the table over restarts; its folder has to exist. Empty: it is not kept.
	File string
	// Keys are the public keys of which one must have signed a table; ReadKeys reads them. None: signatures are not
	// looked at.
	Keys []ed25519.PublicKey

	Token     string      // sent as a bearer token; empty sends none
	TokenFile string      // a file that has the token, read again for each request; instead of Token
	TLS       *tls.Config // of https servers; nil: the system's roots

	Wait       time.Duration // how long a poll waits for a new table, 1 s to 60 s; default 30 s
	Interval   time.Duration // between polls of a server that does not wait; default 5 s
	MaxBackoff time.Duration // between polls that fail; default 30 s

	// Routes are those whose submits and receipts this sender reports. Heartbeats every ten seconds say so, by which
	// signalbox tells a quiet sender from a dead one. None: no heartbeats.
	Routes []string
	// SpoolFile keeps events that signalbox has not taken over restarts. Empty: they are lost with the process.
	SpoolFile string
	// SpoolBytes bounds the events that wait, in memory; the file may be three times as large. Default 16 MiB.
	SpoolBytes int

	// Apply puts a table that is about to be taken into effect, where more is to be done than to pick by it. Where it
	// returns an error the old table stays, signalbox is told why, and it is tried again. Nil: there is nothing to do.
	Apply func(context.Context, *Table) error

	Changed func(*Table)  // told of each table that was taken, by the goroutine that polls; nil: nobody is
	Logger  *slog.Logger  // default slog.Default()
	client  *http.Client  // of tests
	flush   time.Duration // between batches; default 1 s
}

// Client is one sender's view of signalbox. Its methods may be called by any number of goroutines.
type Client struct {
	o       Options
	log     *slog.Logger
	http    *http.Client
	servers servers
	table   atomic.Pointer[Table]
	spool   *spool
	says    chan said // the last word that was not told yet

	mu     sync.Mutex // guards status and last
	status Status
	last   said // what was last handed to says
}

// Status is how a client stands.
type Status struct {
	Generation Generation // that it runs; zero where it has no table
	Taken      time.Time  // when it took that one; zero where it comes from File
	Heard      time.Time  // when a server last confirmed it, or gave it
	Refused    string     // why the last answer with a table was refused; empty where it was not
	Err        string     // why the last poll failed; empty where it did not

	Waiting       int    // events that signalbox has not taken yet
	Sent          uint64 // events that it took
	EventsRefused uint64 // events that it refused; the log says why
	Dropped       uint64 // events that the spool had no room for
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`)

// New reads the table and the events that the last run left. A file that is damaged is said in the log and not used; an
// option that is wrong is the error.
func New(o Options) (*Client, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("new sender: %w", err)
	}
	s, err := parseServers(o.Servers)
	if err != nil {
		return nil, fmt.Errorf("new sender: %w", err)
	}
	c := &Client{o: o, log: o.Logger, http: o.client, servers: s, says: make(chan said, 1)}
	if c.http == nil {
		c.http = newHTTP(o.TLS)
	}
	if c.spool, err = openSpool(o.SpoolFile, o.SpoolBytes); err != nil {
		c.log.Warn("spool not read", "file", o.SpoolFile, "err", err)
	}
	c.restore()
	return c, nil
}

func (o *Options) complete() error {
	switch {
	case !nameForm.MatchString(o.Name):
		return fmt.Errorf("name: want letters, digits and . _ : @ - only, at most 128, got %q", o.Name)
	case o.Token != "" && o.TokenFile != "":
		return errors.New("want Token or TokenFile, got both")
	case o.Wait != 0 && (o.Wait < time.Second || o.Wait > time.Minute):
		return fmt.Errorf("wait: want 1s to 1m, got %s", o.Wait)
	case o.Interval < 0 || o.MaxBackoff < 0 || o.SpoolBytes < 0:
		return errors.New("want Interval, MaxBackoff and SpoolBytes of 0 or more")
	}
	for i, k := range o.Keys {
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("keys[%d]: want %d bytes, got %d", i, ed25519.PublicKeySize, len(k))
		}
	}
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&o.Wait, 30*time.Second)
	def(&o.Interval, 5*time.Second)
	def(&o.MaxBackoff, 30*time.Second)
	def(&o.flush, time.Second)
	if o.SpoolBytes == 0 {
		o.SpoolBytes = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Run polls, tells and reports until ctx is done. At the end it tries for five seconds to hand over the events that wait,
// and keeps the rest in SpoolFile. It always returns nil.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.watch(ctx) })
	wg.Go(func() { c.tell(ctx) })
	wg.Go(func() { c.report(ctx) })
	wg.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// Table is the table in force here; nil until there is one. Nobody may change it.
func (c *Client) Table() *Table { return c.table.Load() }

// Status is how the client stands now.
func (c *Client) Status() Status {
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	if t := c.Table(); t != nil {
		s.Generation = t.Generation
	}
	s.Waiting, s.Dropped = c.spool.count()
	return s
}

// note changes the status.
func (c *Client) note(change func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
}
