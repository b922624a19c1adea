// Package gateway reads what gateways tell of their own links: bind state, queue, throttling. It supports what receipts say
// and never replaces it: a gateway calls a link online whose carrier swallows everything.
package gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"signalbox/rules/route"
)

// Options are how one gateway is read.
type Options struct {
	Name   string // the source is kannel.NAME or jasmin.NAME
	URL    string
	Secret string              // Kannel's status-password; ""  for none
	Queue  int                 // messages above which a queue is too long; 0 is 1000
	Routes map[string]route.ID // by SMSC id or connector; an id that is absent is the route's own
	Known  func(route.ID) bool // whether the policy has a route; nil: every one
	Now    func() time.Time    // nil: time.Now
}

// Bounds of an answer.
const (
	maxAnswer = 16 << 20
	maxLinks  = 10_000
)

func (o *Options) check(kind string) error {
	u, err := url.Parse(o.URL)
	if o.Name == "" || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s: want a name and a URL such as http://127.0.0.1:13000/status.xml, got %q and %q", kind, o.Name, o.URL)
	}
	if o.Queue <= 0 {
		o.Queue = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// route is the route of a link; false where the policy has none such.
func (o *Options) route(link string) (route.ID, bool) {
	id, mapped := o.Routes[link]
	if !mapped {
		id = route.ID(link)
	}
	return id, id != "" && (o.Known == nil || o.Known(id))
}

// get fetches the gateway's answer. Errors do not repeat the URL, which may hold a password.
func (o *Options) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("want a URL that can be asked for")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the gateway answers %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("want an answer of at most %d bytes", maxAnswer)
	}
	return body, err
}

// Kannel reads the status.xml of a bearerbox (Kannel 1.4).
type Kannel struct {
	o Options
}

// NewKannel checks the options.
func NewKannel(o Options) (*Kannel, error) {
	if err := o.check("kannel"); err != nil {
		return nil, err
	}
	if o.Secret != "" {
		u, err := url.Parse(o.URL)
		if err != nil {
			return nil, err
		}
		q := u.Query()
		q.Set("password", o.Secret)
		u.RawQuery = q.Encode()
		o.URL = u.String()
	}
	return &Kannel{o}, nil
}

// kannelStatus is what is read of a status.xml.
type kannelStatus struct {
	SMSCs []struct {
		ID      string `xml:"id"`
		AdminID string `xml:"admin-id"`
		Status  string `xml:"status"` // online 4s, re-connecting, connecting, disconnected, dead
		Queued  int    `xml:"queued"`
	} `xml:"smscs>smsc"`
}

// Collect asks once. Each link gives two probes, of kind bind and queue.
func (k *Kannel) Collect(ctx context.Context) ([]route.Observation, error) {
	body, err := k.o.get(ctx, k.o.URL)
	if err == nil {
		var out []route.Observation
		if out, err = k.read(body); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("kannel %s: %w", k.o.Name, err)
}

// read turns a status.xml into observations. Kannel answers 200 to a wrong password too.
func (k *Kannel) read(body []byte) ([]route.Observation, error) {
	var s kannelStatus
	if strings.Contains(string(body[:min(len(body), 200)]), "Denied") {
		return nil, errors.New("the password is refused")
	}
	if err := xml.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("want status.xml: %w", err)
	}
	if len(s.SMSCs) > maxLinks {
		return nil, fmt.Errorf("want at most %d links, got %d", maxLinks, len(s.SMSCs))
	}
	var out []route.Observation
	now := k.o.Now()
	seen := map[route.ID]bool{}
	for _, link := range s.SMSCs {
		id, known := k.o.route(strings.TrimSpace(link.ID))
		if !known || seen[id] {
			continue // of several links of one route the first speaks
		}
		seen[id] = true
		base := route.Observation{Kind: route.KindProbe, Time: now, Source: "kannel." + k.o.Name, Route: id}
		bind, queue := base, base
		state, _, _ := strings.Cut(strings.TrimSpace(link.Status), " ")
		bind.Probe, bind.OK, bind.Code = "bind", state == "online", word(state)
		queue.Probe, queue.OK = "queue", link.Queued <= k.o.Queue
		if bind.OK {
			bind.Code = ""
		}
		if state == "" {
			continue // a status that says nothing is unknown
		}
		out = append(out, bind, queue)
	}
	return out, nil
}

// word bounds a status word to a code.
func word(s string) string {
	if len(s) > 16 {
		s = s[:16]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r == '-' {
			return r
		}
		return -1
	}, s)
}
