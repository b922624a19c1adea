package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox/probes/smpp"
	"signalbox/rules/route"
)

// How the sender sends.
const (
	demoRate     = 20.0 // messages a second, at random moments
	demoInFlight = 64   // submits that may wait for their answers
	demoPatience = 5 * time.Second
	demoPoll     = 30 // seconds that signalbox may hold back an answer that would be the old one
)

// demoSender does what a gateway does: it asks for routes, sends messages by them, and reports what becomes of each.
type demoSender struct {
	web      *demoWeb
	report   *demoReporter
	carriers []*demoCarrier
	table    atomic.Pointer[route.Table] // the last good one, which it keeps whatever happens
}

// run sends until ctx is done.
func (s *demoSender) run(ctx context.Context) error {
	now := time.Now()
	for _, c := range s.carriers {
		s.report.add(demoLine{Type: "baseline", Time: now, Route: c.id, Class: demoClass, Network: demoNetwork, Baseline: c.baseline()})
	}
	etag, err := s.poll(ctx, "")
	if err != nil {
		return unlessStopped(ctx, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.follow(ctx, etag) })
	g.Go(func() error { return s.send(ctx) })
	for _, c := range s.carriers {
		g.Go(func() error { return s.receive(ctx, c) })
	}
	return g.Wait()
}

// follow keeps the table up to date. On any error the last one stays in use.
func (s *demoSender) follow(ctx context.Context, etag string) error {
	for ctx.Err() == nil {
		next, err := s.poll(ctx, etag)
		if err == nil {
			etag = next
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + rand.N(time.Second)):
		}
	}
	return nil
}

// poll asks for the table, waiting for another one than that of the tag, and takes it where it is newer.
func (s *demoSender) poll(ctx context.Context, etag string) (string, error) {
	header := http.Header{}
	if etag != "" {
		header.Set("If-None-Match", etag)
		header.Set("Prefer", fmt.Sprintf("wait=%d", demoPoll))
	}
	var t route.Table
	resp, err := s.web.ask(ctx, http.MethodGet, "/routes", header, nil, &t)
	if err != nil {
		return "", err
	}
	old := s.table.Load()
	if resp.StatusCode == http.StatusOK && len(t.Lanes) > 0 && (old == nil || t.Generation.Newer(old.Generation)) {
		s.table.Store(&t)
		s.applied(ctx, t.Generation)
	}
	return resp.Header.Get("ETag"), nil
}

// applied tells signalbox which table the sender runs. It is news for people, so a failure stops nothing.
func (s *demoSender) applied(ctx context.Context, g route.Generation) {
	body, err := json.Marshal(map[string]any{"generation": g, "applied": true})
	if err == nil {
		_, _ = s.web.ask(ctx, http.MethodPut, "/senders/"+demoSource, nil, bytes.NewReader(body), nil)
	}
}

// send hands messages over at random moments until ctx is done.
func (s *demoSender) send(ctx context.Context) error {
	var inFlight errgroup.Group
	inFlight.SetLimit(demoInFlight)
	defer inFlight.Wait()
	next := time.Now()
	for n := 1; ; n++ {
		next = next.Add(time.Duration(rand.ExpFloat64() / demoRate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		key := fmt.Sprintf("demo-%d", n)
		inFlight.Go(func() error { s.message(ctx, key); return nil })
	}
}

// message sends one message: by the route that the table gives to its key, and where that one refuses, by the active
// routes after it. A route that does not answer may have taken it: trying another would send the code twice.
func (s *demoSender) message(ctx context.Context, key string) {
	t := s.table.Load()
	i := t.Lookup(demoClass, demoNetwork)
	if i < 0 {
		return
	}
	lane := &t.Lanes[i]
	for _, id := range demoTries(lane, key) {
		c := s.carrier(id)
		if c == nil {
			continue
		}
		var refused smpp.Status
		if err := s.submit(ctx, c, key, t.Generation); !errors.As(err, &refused) {
			return
		}
	}
}

// demoTries are the routes to try for a key: its own, then the active ones in order.
func demoTries(lane *route.LaneTable, key string) []route.ID {
	var tries []route.ID
	chosen := lane.Pick(key)
	if chosen >= 0 {
		tries = append(tries, lane.Routes[chosen].Route)
	}
	for i, e := range lane.Routes {
		if i != chosen && e.Phase == route.Active {
			tries = append(tries, e.Route)
		}
	}
	return tries
}

func (s *demoSender) carrier(id route.ID) *demoCarrier {
	for _, c := range s.carriers {
		if c.id == id {
			return c
		}
	}
	return nil
}

// submit hands the message to a carrier and reports the answer.
func (s *demoSender) submit(ctx context.Context, c *demoCarrier, key string, g route.Generation) error {
	text, coding := smpp.EncodeText(fmt.Sprintf("Your code is %06d", rand.N(1_000_000)))
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	began := time.Now()
	id, err := c.session.Submit(ctx, smpp.ShortMessage{
		Source: smpp.AddressOf("Demo"),
		Dest:   smpp.AddressOf(fmt.Sprintf("+447700900%03d", rand.N(1000))), // numbers that belong to nobody
		Text:   text, DataCoding: coding, Register: smpp.RegisterFinal,
	})
	if errors.Is(err, context.Canceled) {
		return err // the demo ends
	}
	line := demoLine{Type: "submit", Time: began, ID: id, Route: c.id, Class: demoClass, Network: demoNetwork,
		Result: "accepted", Latency: time.Since(began).Seconds(), Generation: &g}
	var refused smpp.Status
	switch {
	case errors.As(err, &refused):
		line.ID, line.Result, line.Code = key, "refused", fmt.Sprintf("0x%02x", uint32(refused))
	case err != nil:
		line.ID, line.Result = key, "timeout"
	}
	s.report.add(line)
	return err
}

// receive reports the receipts of a carrier until ctx is done.
func (s *demoSender) receive(ctx context.Context, c *demoCarrier) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-c.session.Deliveries():
			if !ok {
				return fmt.Errorf("session with %s: %w", c.id, c.session.Err())
			}
			s.receipt(c, d)
		}
	}
}

// receipt reports a receipt, and of a code that was delivered, mostly, that a person has typed it in after a while. The
// people of the demo get their messages at the moment of which the receipt tells.
func (s *demoSender) receipt(c *demoCarrier, d smpp.Delivery) {
	r, err := smpp.ParseReceipt(d)
	if err != nil {
		return // these carriers deliver nothing but receipts
	}
	c.receipts.Add(1)
	line := demoLine{Type: "receipt", Time: d.Received, ID: r.ID, Route: c.id, Status: string(r.State), Code: r.Err}
	s.report.add(line)
	if r.State == smpp.StateDelivered && rand.Float64() < demoTyped {
		s.report.add(demoLine{Type: "conversion", Time: d.Received.Add(typing()), ID: r.ID, Route: c.id})
	}
}
