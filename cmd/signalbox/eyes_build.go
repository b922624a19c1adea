package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"signalbox/probes"
	gateways "signalbox/probes/gateway"
	httpprobe "signalbox/probes/http"
	"signalbox/probes/inbound"
	"signalbox/probes/promql"
	"signalbox/probes/receipts"
	"signalbox/probes/settings"
	"signalbox/probes/smpp"
	"signalbox/rules/route"
)

// sight is what settings ask to look at, ready to come into force.
type sight struct {
	settings *settings.Settings
	schedule *probes.Schedule
	budgets  map[route.ID]probes.Budget
	spelt    map[route.ID]smpp.IDs // how each route that sends by SMPP spells the ids of its receipts
	receipts *receipts.Set         // nil at a vantage point, which has no webhooks
	inbound  *inbound.Set          // likewise
	counters map[string]*promql.Collector
}

// build makes what settings ask for. It reaches no network, and changes nothing of what is in force. Everything that is wrong
// is told at once.
func (e *eyes) build(s *settings.Settings) (*sight, error) {
	b := &builder{eyes: e, sight: sight{settings: s, budgets: map[route.ID]probes.Budget{}, spelt: map[route.ID]smpp.IDs{}, counters: map[string]*promql.Collector{}}}
	if now := e.current(); now != nil {
		b.before = now.counters
	}
	ids := make([]route.ID, 0, len(s.Routes))
	for id := range s.Routes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		b.route(id, s.Routes[id])
	}
	b.collectors(s.Collectors)
	if e.o.vantage == "" {
		b.webhooks(s)
	} else {
		b.unheard(s)
	}
	if len(b.wrong) > 0 {
		b.wrong.Sort()
		return nil, b.wrong
	}
	var err error
	b.schedule, err = probes.NewSchedule(probes.ScheduleOptions{
		Tasks: b.tasks, Gatherings: b.gatherings, Sink: e.o.sink, Vantage: e.o.vantage, Logger: e.o.logger, Metrics: e.metrics})
	return &b.sight, err
}

func budgetOf(b settings.Budget) probes.Budget {
	return probes.Budget{Messages: b.Messages, Money: b.Money}
}

// builder gathers what a schedule is made of, and what is wrong.
type builder struct {
	sight
	eyes       *eyes
	tasks      []probes.Task
	gatherings []probes.Gathering
	wrong      settings.Problems
	before     map[string]*promql.Collector // by name, those in force: what they have read so far is not to be forgotten
}

// unheard refuses what a vantage point cannot hear: it has no webhooks, so that what comes back by them would be missing each
// time, and count against the route.
func (b *builder) unheard(s *settings.Settings) {
	phones := false
	for _, r := range s.Routes {
		phones = phones || r.SMPP != nil && r.SMPP.Receives()
	}
	refuse := func(path string, m *settings.Message, receives bool) {
		if m == nil {
			return
		}
		if m.Receipt > 0 && !receives {
			b.bad(path+".receipt", errors.New("want smpp that receives, or none: a vantage point has no webhooks, and could wait for receipts only in vain"))
		}
		if m.Handset > 0 && !phones {
			b.bad(path+".handset", errors.New("want a route whose smpp receives, or none: a vantage point has no webhooks, and could wait for phones only in vain"))
		}
	}
	for id, r := range s.Routes {
		refuse("routes."+string(id)+".message", r.Message, r.SMPP != nil && r.SMPP.Receives())
		if r.HTTP != nil {
			refuse("routes."+string(id)+".http.message", r.HTTP.Message, false)
		}
	}
}

// bad notes an error, and reports whether there is one.
func (b *builder) bad(path string, err error) bool {
	if err != nil {
		b.wrong = append(b.wrong, b.settings.Problem(path, err.Error()))
	}
	return err != nil
}

// secret reads a secret, and notes where there is none.
func (b *builder) secret(path string, s settings.Secret) string {
	value, err := s.Read()
	switch {
	case err == nil:
		return value
	case b.eyes.o.absent != nil:
		b.eyes.o.absent(b.settings.Problem(path, "want it where signalbox runs: "+err.Error()))
		return "absent"
	}
	b.bad(path, err)
	return ""
}

func (b *builder) route(id route.ID, r settings.Route) {
	path := "routes." + string(id)
	if r.SMPP != nil {
		link, ids := b.smpp(id, path+".smpp", r.SMPP)
		if link != nil && r.Message != nil {
			b.spelt[id] = ids // an API's ids are as they are
			b.message(id, path+".message", link, r)
		}
	}
	if r.HTTP != nil {
		b.http(id, path+".http", r.HTTP)
	}
}

func (b *builder) smpp(id route.ID, path string, p *settings.SMPP) (*smpp.Link, smpp.IDs) {
	timeout := p.Timeout.D()
	o := smpp.LinkOptions{Route: id, DedicatedAccount: p.DedicatedAccount, EnquireTimeout: timeout, Arrivals: b.eyes.box,
		Session: smpp.Options{Addr: p.Address, SystemID: p.SystemID, SystemType: p.SystemType, DialTimeout: 3 * timeout, PhaseTimeout: timeout, StallTimeout: timeout}}
	var err error
	if p.Password.Set() {
		o.Session.Password = b.secret(path+".password", p.Password)
	}
	o.Session.TLS, err = tlsOf(p.TLS)
	b.bad(path, err)
	o.Session.Bind = map[string]smpp.Bind{"receiver": smpp.Receiver, "transceiver": smpp.Transceiver}[p.Bind]
	o.IDs, err = smpp.ParseIDs(p.MessageID)
	b.bad(path+".message_id", err)
	o.Receipts = smpp.ReceiptParser{AcceptedFinal: p.AcceptedFinal, Detect: map[string]smpp.Detect{"tlv": smpp.DetectTLV, "text": smpp.DetectText}[p.ReceiptDetect]}
	link, err := smpp.NewLink(o)
	if b.bad(path, err) {
		return nil, 0
	}
	b.tasks = append(b.tasks, probes.Task{Route: id, Way: "smpp", Every: p.Every.D(), Recheck: p.Recheck.D(), Timeout: 4*timeout + slack, Prober: link})
	return link, o.IDs
}

func (b *builder) message(id route.ID, path string, link *smpp.Link, r settings.Route) {
	m, timeout := r.Message, r.SMPP.Timeout.D()
	sender, err := smpp.NewMessages(smpp.MessageOptions{Link: link, Errand: b.errand(id, m), SubmitTimeout: timeout})
	if b.bad(path, err) {
		return
	}
	b.tasks = append(b.tasks, probes.Task{Route: id, Way: "smpp-message", Every: m.Every.D(), Timeout: timeout + awaiting(m), Prober: sender})
}

// awaiting is how long what comes back of a message is waited for.
func awaiting(m *settings.Message) time.Duration { return max(m.Receipt.D(), m.Handset.D()) + slack }

// errand is how messages of a route are sent, and accounted for.
func (b *builder) errand(id route.ID, m *settings.Message) probes.ErrandOptions {
	o := probes.ErrandOptions{Route: id, From: m.From, Text: m.Text, Returns: b.eyes.box, ReceiptTimeout: m.Receipt.D(), HandsetTimeout: m.Handset.D()}
	for _, name := range m.Numbers {
		n := b.settings.Numbers[name]
		o.Numbers = append(o.Numbers, probes.Number{Digits: n.Number, Network: n.Network})
	}
	b.budgets[id] = budgetOf(m.Budget)
	ledger, price := b.eyes.ledger, m.Price
	o.Spend = func(now time.Time, _ route.Network) error { return ledger.Spend(now, id, price) }
	return o
}

func (b *builder) http(id route.ID, path string, h *settings.HTTP) {
	o := httpprobe.Options{Route: id, Method: h.Method, URL: h.URL, Headers: h.Headers, Body: h.Body, Secrets: map[string]string{}, Timeout: h.Timeout.D(),
		Status: h.Expect.Status, JSON: h.Expect.JSON, Equals: h.Expect.Equals, Within: h.Expect.Within.D(), MessageID: h.MessageID}
	for name, secret := range h.Secrets {
		o.Secrets[name] = b.secret(path+".secrets."+name, secret)
	}
	var err error
	o.TLS, err = tlsOf(h.TLS)
	b.bad(path, err)
	timeout, recheck := h.Timeout.D()+slack, b.settings.Defaults.Recheck.D()
	if h.Message != nil {
		errand := b.errand(id, h.Message)
		o.Errand = &errand
		timeout, recheck = timeout+awaiting(h.Message), 0 // messages cost money
	}
	prober, err := httpprobe.New(o)
	if b.bad(path, err) {
		return
	}
	b.tasks = append(b.tasks, probes.Task{Route: id, Way: "http", Every: h.Every.D(), Recheck: recheck, Timeout: timeout, Prober: prober})
}

// collectors are those of other systems' counters. A vantage point has none: they would be read twice.
func (b *builder) collectors(c settings.Collectors) {
	for i := range c.Prometheus {
		b.prometheus(fmt.Sprintf("collectors.prometheus[%d]", i), &c.Prometheus[i])
	}
	for i := range c.Kannel {
		path := fmt.Sprintf("collectors.kannel[%d]", i)
		k, err := gateways.NewKannel(b.gateway(path, &c.Kannel[i]))
		if !b.bad(path, err) {
			b.gather("kannel", c.Kannel[i].Name, c.Kannel[i].Every.D(), k)
		}
	}
	for i := range c.Jasmin {
		path := fmt.Sprintf("collectors.jasmin[%d]", i)
		j, err := gateways.NewJasmin(b.gateway(path, &c.Jasmin[i]))
		if !b.bad(path, err) {
			b.gather("jasmin", c.Jasmin[i].Name, c.Jasmin[i].Every.D(), j)
		}
	}
}

func (b *builder) gather(way, name string, every time.Duration, c probes.Collector) {
	b.gatherings = append(b.gatherings, probes.Gathering{Name: name, Way: way, Every: every, Timeout: every, Collector: c})
}

func (b *builder) prometheus(path string, p *settings.Prometheus) {
	if b.eyes.o.vantage != "" {
		b.bad(path, errors.New("want it in the controller's settings: a vantage point reports probes only"))
		return
	}
	o := promql.Options{Name: p.Name, URL: p.URL, Headers: map[string]string{}, Params: p.Params, Queries: p.Queries, Interval: p.Interval.D(), Delay: p.Delay.D(), Known: b.eyes.o.known}
	for name, secret := range p.Headers {
		o.Headers[name] = b.secret(path+".headers."+name, secret)
	}
	var err error
	o.TLS, err = tlsOf(p.TLS)
	b.bad(path, err)
	c := b.before[p.Name]
	if c == nil || !c.Reads(o) {
		c, err = promql.New(o)
	}
	if !b.bad(path, err) {
		b.counters[p.Name] = c
		b.gather("promql", p.Name, p.Every.D(), c)
	}
}

func (b *builder) gateway(path string, g *settings.Gateway) gateways.Options {
	o := gateways.Options{Name: g.Name, URL: g.URL, Queue: g.Queue, Routes: g.Routes, Known: b.eyes.o.known}
	if g.Secret.Set() {
		o.Secret = b.secret(path+".password", g.Secret)
	}
	return o
}
