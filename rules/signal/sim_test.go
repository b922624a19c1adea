package signal

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"signalbox/rules/route"
)

// The simulated world of the tests: Poisson submits, receipts after a mixture of log-normal delays, all from one seed.

var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// health is how a route treats the messages submitted at one moment. Zero fields are normal.
type health struct {
	refused   float64 // share refused by the route's fault
	delivered float64 // share delivered; 0 is normal, below 0 is none
	failed    float64 // share failed by a receipt; 0 is normal, below 0 is none
	slower    float64 // factor of delays; 0 is 1
	converted float64 // share of the delivered that convert; 0 is normal
}

// traffic is one stream of messages.
type traffic struct {
	route   route.ID
	class   route.Class
	network route.Network
	source  string
	rate    float64 // messages a second
	from    time.Duration
	to      time.Duration
	health  func(at time.Duration) health // nil is normal throughout
	seed    uint64
	// converts says whether conversions are reported: normally of eight in ten of the delivered.
	converts bool
}

const (
	normalDelivered = 0.95
	normalFailed    = 0.025
)

// delay draws the age of a receipt in seconds: p50 5 s, p95 42 s, p99 33 min.
func delay(r *rand.Rand) float64 {
	switch u := r.Float64(); {
	case u < .88:
		return 4.5 * math.Exp(.75*r.NormFloat64())
	case u < .98:
		return 28 * math.Exp(.9*r.NormFloat64())
	}
	return 3600 * math.Exp(1.3*r.NormFloat64())
}

// delayCDF is the distribution that delay draws from.
func delayCDF(age float64) float64 {
	phi := func(median, sigma float64) float64 {
		return 0.5 * math.Erfc(-math.Log(age/median)/sigma/math.Sqrt2)
	}
	return .88*phi(4.5, .75) + .10*phi(28, .9) + .02*phi(3600, 1.3)
}

var toldAges = []float64{.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600, 7200}

// toldBaseline is the truth about the simulated world.
func toldBaseline(messages float64) *route.Baseline {
	b := &route.Baseline{Delivered: normalDelivered, Failed: normalFailed, Conversion: .8, Messages: messages, Ages: slices.Clone(toldAges)}
	for _, a := range toldAges {
		b.CDF = append(b.CDF, delayCDF(a))
		b.ConversionCDF = append(b.ConversionCDF, delayCDF(math.Max(a-8, .1)))
	}
	return b
}

func (t traffic) named() traffic {
	if t.route == "" {
		t.route = "acme"
	}
	if t.class == "" {
		t.class = "otp"
	}
	if t.network == "" {
		t.network = "234-15"
	}
	return t
}

// event is an observation and the moment, on our clock, at which it comes in.
type event struct {
	at time.Time
	route.Observation
}

// tells tells the true baseline for the stream's key.
func (t traffic) tells() []event {
	t = t.named()
	b := toldBaseline(20000)
	if !t.converts {
		b.Conversion, b.ConversionCDF = 0, nil
	}
	return []event{{epoch, route.Observation{Kind: route.KindBaseline, Time: epoch, Route: t.route, Class: t.class, Network: t.network, Baseline: b}}}
}

// events are the observations of the stream, joined, in the order in which they happen.
func (t traffic) events() []event {
	t = t.named()
	r := rand.New(rand.NewPCG(t.seed, 7))
	var out []event
	for at := t.from.Seconds() + r.ExpFloat64()/t.rate; at < t.to.Seconds(); at += r.ExpFloat64() / t.rate {
		out = t.message(out, at, r)
	}
	inOrder(out)
	return out
}

// inOrder sorts events by when they come in.
func inOrder(events []event) {
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
}

func (t traffic) message(out []event, at float64, r *rand.Rand) []event {
	h := health{}
	if t.health != nil {
		h = t.health(seconds(at))
	}
	sent := epoch.Add(seconds(at))
	o := route.Observation{Kind: route.KindSubmit, Time: sent, Submitted: sent, Source: t.source, Route: t.route, Class: t.class, Network: t.network, Latency: 40 * time.Millisecond}
	if r.Float64() < h.refused {
		o.Result = route.Refused
		return append(out, event{sent, o})
	}
	out = append(out, event{sent, o})
	delivered, failed := orNormal(h.delivered, normalDelivered), orNormal(h.failed, normalFailed)
	u, age := r.Float64(), delay(r)*max(1, h.slower)
	o.Kind, o.Final, o.Time, o.Status = route.KindReceipt, true, sent.Add(seconds(age)), route.StatusDelivered
	switch {
	case u >= delivered+failed:
		return out
	case u >= delivered:
		o.Status = route.StatusFailed
	}
	out = append(out, event{o.Time, o})
	if t.converts && o.Status == route.StatusDelivered && r.Float64() < orNormal(h.converted, .8) {
		o.Kind, o.Time = route.KindConversion, o.Time.Add(8*time.Second)
		out = append(out, event{o.Time, o})
	}
	return out
}

func orNormal(v, normal float64) float64 {
	switch {
	case v == 0:
		return normal
	case v < 0:
		return 0
	}
	return v
}

// beats are the heartbeats of a source, every 10 s.
func beats(source string, from, to time.Duration, routes ...route.ID) []event {
	if len(routes) == 0 {
		routes = []route.ID{"acme"}
	}
	var out []event
	for at := from; at <= to; at += 10 * time.Second {
		o := route.Observation{Kind: route.KindHeartbeat, Time: epoch.Add(at), Source: source, Routes: routes}
		out = append(out, event{o.Time, o})
	}
	return out
}

func merged(lists ...[]event) []event {
	all := slices.Concat(lists...)
	inOrder(all)
	return all
}

// each changes events in place.
func each(events []event, change func(*event)) []event {
	for i := range events {
		change(&events[i])
	}
	return events
}

// skewed are events as told by clocks that are ahead: those of submits by one, all others by another.
func skewed(events []event, submits, others time.Duration) []event {
	return each(events, func(e *event) {
		if e.Kind == route.KindSubmit {
			e.Time = e.Time.Add(submits)
		} else {
			e.Time = e.Time.Add(others)
		}
		e.Submitted = e.Submitted.Add(submits)
	})
}

// told names the source of submits, receipts and conversions.
func told(events []event, submits, receipts, conversions string) []event {
	return each(events, func(e *event) {
		switch e.Kind {
		case route.KindSubmit:
			e.Source = submits
		case route.KindReceipt:
			e.Source = receipts
		case route.KindConversion:
			e.Source = conversions
		}
	})
}

// without are the events that come in outside a stretch of time, or are not chosen.
func without(events []event, from, to time.Duration, chosen func(*event) bool) []event {
	return slices.DeleteFunc(events, func(e event) bool {
		at := e.at.Sub(epoch)
		return at >= from && at < to && chosen(&e)
	})
}

func isReceipt(e *event) bool    { return e.Kind == route.KindReceipt }
func isConversion(e *event) bool { return e.Kind == route.KindConversion }

var testLane = route.Lane{Class: "otp", Network: "GB"}

func ask(ids ...route.ID) []route.Inquiry {
	var out []route.Inquiry
	for _, id := range ids {
		out = append(out, route.Inquiry{Route: id})
	}
	return out
}

// newBook is a book with one lane.
func newBook() *Book {
	b := New(Options{})
	b.SetLanes([]route.Lane{testLane}, nil)
	return b
}

// play feeds events as they come in, until to, and judges every tick in between; look sees each judgement.
func play(b *Book, events []event, asks []route.Inquiry, to time.Duration, look func(at time.Duration, s []route.Signals)) {
	next := epoch.Add(Tick)
	if len(events) > 0 && events[0].at.After(next) {
		next = events[0].at.Truncate(Tick).Add(Tick)
	}
	judge := func(until time.Time) {
		for ; !next.After(until); next = next.Add(Tick) {
			s := b.Judge(route.Scope{Lane: testLane}, asks, next)
			if look != nil {
				look(next.Sub(epoch), s)
			}
		}
	}
	end := epoch.Add(to)
	for i := range events {
		if events[i].at.After(end) {
			break
		}
		judge(events[i].at)
		b.Observe(&events[i].Observation, events[i].at)
	}
	judge(end)
}
