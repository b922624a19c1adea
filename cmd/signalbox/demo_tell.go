package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"signalbox/rules/route"
)

// begin tells what has been started.
func (s *demoStory) begin() error {
	where := "It serves " + s.url()
	if s.elsewhere {
		where += ", for " + s.o.listen + " is taken"
	}
	kept := "log, state and policy: " + s.dir
	if s.o.data == "" {
		kept += ", until the end"
	}
	if err := s.say("start", "Three carriers, a sender and signalbox on this machine; nothing leaves it."); err != nil {
		return err
	}
	if err := s.say("signalbox", where+".", kept); err != nil {
		return err
	}
	bound := uint64(0)
	for _, c := range s.carriers {
		bound += c.server.Counters().Binds
	}
	return s.say("carriers", fmt.Sprintf("%s are up. The sender is bound to them by SMPP 3.4, %d sessions.", s.names(), bound))
}

// normal tells what signalbox takes for normal, without which it could call nothing ill, and the rule.
func (s *demoStory) normal() error {
	if err := s.say("normal", fmt.Sprintf("signalbox knows what is usual: %s of %s's messages end delivered.", demoPercent(s.now.Signals.Delivery.Baseline), s.sick.id),
		"It was told so for the demo; on a real site it learns that in the first hours."); err != nil {
		return err
	}
	for _, r := range s.now.Rules {
		if err := s.say("rule", fmt.Sprintf("%s is the rule that may take a route out, and let it back:", r.Rule),
			"out when   "+r.Demote.When, "back when  "+r.Promote.When,
			fmt.Sprintf("Evidence of %.0f: what came back is about %s times likelier from a broken route.",
				s.threshold(demoEvidence), demoTimes(s.threshold(demoEvidence)))); err != nil {
			return err
		}
	}
	return nil
}

// count begins to count anew what traffic tells.
func (s *demoStory) count() {
	s.told = time.Now()
	for _, c := range s.carriers {
		s.counted[c.id] = c.server.Counters().Accepted
	}
}

// traffic tells where messages went since it was last told, by the carriers' own counts.
func (s *demoStory) traffic() error {
	total, took := uint64(0), map[route.ID]uint64{}
	for _, c := range s.carriers {
		n := c.server.Counters().Accepted
		took[c.id] = n - s.counted[c.id]
		total += took[c.id]
	}
	seconds := time.Since(s.told).Seconds()
	s.count()
	if total == 0 {
		return nil
	}
	var shares []string
	for _, c := range s.carriers {
		shares = append(shares, fmt.Sprintf("%s %s", c.id, demoPercent(float64(took[c.id])/float64(total))))
	}
	e := demoEvent{Event: "traffic", Data: map[string]any{"accepted": took, "seconds": math.Round(seconds*10) / 10},
		Text: fmt.Sprintf("%.0f messages/s: %s", float64(total)/seconds, strings.Join(shares, ", "))}
	if d := &s.now.Signals.Delivery; d.Known && s.now.State.Phase == route.Active && d.Evidence < demoNothing {
		e.Text += fmt.Sprintf("; %s delivers %s (usual %s)", s.sick.id, demoPercent(d.Ratio), demoPercent(d.Baseline))
	}
	return s.print.print(e)
}

// accusation tells how far the evidence against the sick carrier has got.
func (s *demoStory) accusation() error {
	d, limit := &s.now.Signals.Delivery, s.threshold(demoEvidence)
	found := demoDue(d)
	if d.Evidence < demoNothing {
		found = "nothing unusual yet"
	}
	e := demoEvent{Event: "evidence", Data: d,
		Text: fmt.Sprintf("%s %s %.1f of %.0f; %s", s.sick.id, demoBar(d.Evidence, limit), d.Evidence, limit, found)}
	if h := s.now.State.Hold; h != nil && s.asked[h.Guard] {
		e.More = append(e.More, fmt.Sprintf("still held by %s: %s", h.Guard, demoRow(h.Why)))
	}
	return s.print.print(e)
}

// outside tells of the sick carrier while it is out: what little traffic it keeps, and what comes back of it.
func (s *demoStory) outside() error {
	if s.held && !s.now.At.Before(s.now.State.HoldUntil) {
		s.held = false
		return s.say("hold-down", fmt.Sprintf("over: %s may come back once it has shown that it is well", s.sick.id))
	}
	if time.Since(s.toldOf) < demoSteady-demoLook && s.now.Signals.Delivery.Recovered == 0 {
		return nil
	}
	s.toldOf = time.Now()
	if s.healed != nil {
		return s.recovery()
	}
	d := &s.now.Signals.Delivery
	return s.print.print(demoEvent{Event: "trickle", Data: d,
		Text: fmt.Sprintf("%s keeps %s, so that its return is seen; %s",
			s.sick.id, demoShare(s.now.Entry.Share), demoDue(d))})
}

// recovery tells how far the evidence has got that the sick carrier is well.
func (s *demoStory) recovery() error {
	sig, limit, now := &s.now.Signals, s.threshold(demoRecovery), s.mark()
	e := demoEvent{Event: "recovery", Data: &sig.Delivery,
		Text: fmt.Sprintf("%s %s %.1f of %.1f", s.sick.id, demoBar(sig.Delivery.Recovered, limit), sig.Delivery.Recovered, limit)}
	if s.healed != nil {
		e.Text += fmt.Sprintf("; since it healed %d sent, %d receipts", now.taken-s.healed.taken, now.receipts-s.healed.receipts)
	}
	if s.now.State.Phase == route.Demoted && sig.Delivery.Recovered == 0 {
		e.More = append(e.More, fmt.Sprintf("evidence against it still: receipts %.1f, conversions %.1f", sig.Delivery.Evidence, sig.Conversion.Evidence))
		if !s.peace {
			s.peace = true
			e.More = append(e.More, "Quick to demote, slow to promote: first there must be no trouble for a while.")
		}
	}
	return s.print.print(e)
}

// demoAsks are the guards' questions in plain words.
var demoAsks = map[string]string{
	"min_active":   "Does the lane keep a route?",
	"common_cause": "Is it this route alone, or do they all suffer?",
	"corroborate":  "Are messages lost, or only receipts late? Do people still type codes in?",
	"velocity":     "Has the lane changed too often?",
	"settle":       "Has the last change had time to show?",
	"in_flight":    "Is another change under way?",
}

// decided tells a decision.
func (s *demoStory) decided(d *route.Decision) error {
	e := demoEvent{Event: "decision", Text: fmt.Sprintf("%s %s: %s", d.Route, d.Reason, d.Text), Data: d}
	switch {
	case d.Enforced:
		s.enforced(&e, d)
	case d.Verdict == route.VerdictUnknown:
		e.Event, e.Text = "unknown", fmt.Sprintf("%s: %s", d.Route, d.Text)
		e.More = []string{"Unknown is not bad: nothing changes."}
	default:
		s.asks(&e, d)
	}
	return s.print.print(e)
}

// asks tells of the guards that hold a change, what each asks, and what would satisfy it. Where none does, e stays as it
// is.
func (s *demoStory) asks(e *demoEvent, d *route.Decision) {
	var holding []string
	for _, g := range d.Guards {
		if g.Result != "hold" {
			continue
		}
		holding, s.asked[g.Guard] = append(holding, g.Guard), true
		if asks := demoAsks[g.Guard]; asks != "" {
			e.More = append(e.More, "question   "+asks)
		}
		e.More = append(e.More, "answer     "+demoRow(g.Why), "freed by   "+demoRow(g.Frees))
	}
	if len(holding) > 0 {
		e.Event, e.Text = "guard", fmt.Sprintf("%s asks to %s %s; held by %s:", d.Rule, d.Verdict, d.Route, strings.Join(holding, " and "))
	}
}

// enforced tells a decision that changed the table.
func (s *demoStory) enforced(e *demoEvent, d *route.Decision) {
	switch d.To {
	case route.Demoted:
		e.Event = "demoted"
	case route.Active:
		e.Event = "promoted"
	default:
		e.Event = "ramp"
	}
	e.Text = fmt.Sprintf("%s: %s → %s by %s, decision %s", d.Route, d.From, d.To, d.Rule, d.ID)
	e.More = append(e.More, "because    "+demoRow(d.Text))
	if d.To == route.Demoted {
		label := "guards     "
		for _, g := range d.Guards {
			e.More = append(e.More, fmt.Sprintf("%s%-12s %s  %s", label, g.Guard, g.Result, demoRow(g.Why)))
			label = "           "
		}
		if len(d.Alternatives) > 0 {
			a := d.Alternatives[0]
			e.More = append(e.More, fmt.Sprintf("instead    %s: %s; price %s", a.Route, demoRow(a.Why), d.PriceChange))
		}
	}
	if d.Route != s.sick.id {
		return
	}
	switch d.To {
	case route.Demoted:
		s.out, s.held, s.decision = s.mark(), true, d.ID
		s.outAt = d.Time
		e.More = append(e.More, fmt.Sprintf("stays out  at least %s, and until it has shown that it is well", demoSeconds(s.now.State.HoldUntil.Sub(d.Time))))
	case route.Active:
		s.back = d.Time
	}
}

// published tells a table.
func (s *demoStory) published(t *route.Table) error {
	i := t.Lookup(demoClass, demoNetwork)
	if i < 0 {
		return nil
	}
	var routes []string
	for _, r := range t.Lanes[i].Routes {
		switch {
		case r.Phase != route.Active:
			routes = append(routes, fmt.Sprintf("%s %s (%s)", r.Route, demoShare(r.Share), r.Phase))
		case r.Share == 0:
			routes = append(routes, fmt.Sprintf("%s standby", r.Route))
		default:
			routes = append(routes, fmt.Sprintf("%s %s", r.Route, demoShare(r.Share)))
		}
	}
	s.count()
	lane := t.Lanes[i].Lane()
	return s.print.print(demoEvent{Event: "table", Text: fmt.Sprintf("%s for %s: %s", t.Generation, lane, strings.Join(routes, ", ")), Data: t})
}

// end tells where the traffic goes in the end, what it all came to, and what to look at.
func (s *demoStory) end() error {
	if err := s.traffic(); err != nil {
		return err
	}
	s.over = true
	if err := s.print.print(s.summary()); err != nil {
		return err
	}
	if s.o.exit {
		return nil
	}
	return s.say("try", "signalbox stays up and the traffic flows until Ctrl-C. In another terminal:", s.advice()...)
}

func (s *demoStory) summary() demoEvent {
	silence := demoSeconds(s.healed.at.Sub(s.silent.at))
	if s.out == nil {
		return demoEvent{Event: "summary", Text: fmt.Sprintf("%s was silent for %s, which was too short for a demotion.", s.sick.id, silence)}
	}
	toDemotion := s.outAt.Sub(s.silent.at)
	before, all := s.out.taken-s.silent.taken, s.healed.taken-s.silent.taken
	e := demoEvent{Event: "summary", Data: map[string]any{
		"seconds_to_demotion": toDemotion.Seconds(), "seconds_to_return": s.back.Sub(s.healed.at).Seconds(),
		"swallowed": all, "swallowed_before_demotion": before, "generation": s.table, "decision": s.decision,
	}}
	e.Text = fmt.Sprintf("%s was silent for %s. %s after it fell silent, it was out of the table.", s.sick.id, silence, demoSeconds(toDemotion))
	if s.out.at.After(s.healed.at) {
		e.More = append(e.More, fmt.Sprintf("%d messages went into the dead route.", all))
	} else {
		e.More = append(e.More, fmt.Sprintf("%d messages went into the dead route: %d before the table changed, %d as trickle.", all, before, all-before))
	}
	e.More = append(e.More, fmt.Sprintf("It had its place back %s after it was well. Table %s is in force.", demoSeconds(s.back.Sub(s.healed.at)), s.table))
	return e
}

// advice are the commands to type next, of those that there are.
func (s *demoStory) advice() []string {
	server := ""
	if s.url() != "http://127.0.0.1:9465" {
		server = " --server " + s.url()
	}
	var lines []string
	add := func(command, line string) {
		if s.commands[command] {
			lines = append(lines, "  signalbox "+line+server)
		}
	}
	add("explain", "explain "+string(s.sick.id))
	add("history", "history")
	if s.decision != "" {
		add("history", "history "+s.decision)
	}
	lines = append(lines, "  curl "+s.url()+"/routes")
	if !s.commands["history"] {
		lines = append(lines, "  curl "+s.url()+"/api/v1/decisions")
	}
	return append(lines, "The policy, with the reasons for each line, is in examples/quickstart/policy.")
}

// stopped tells that it was ended from outside.
func (s *demoStory) stopped() error {
	text := "Carriers, sender and signalbox are being stopped"
	if s.o.data == "" {
		text += "; " + s.dir + " is removed"
	}
	return s.say("stopped", text+".")
}

// demoDue says how many of the receipts that should be back are.
func demoDue(d *route.Delivery) string {
	return fmt.Sprintf("%.0f of %.0f due receipts are back", d.Delivered+d.Failed, d.Messages)
}

// demoTimes is e to the power of nats in two digits, such as 160,000.
func demoTimes(nats float64) string {
	v := math.Exp(math.Min(nats, 40))
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	digits := fmt.Sprintf("%.0f", math.Round(v/unit)*unit)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func demoPercent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

func demoShare(share int) string { return demoPercent(float64(share) / route.FullShare) }

func demoSeconds(d time.Duration) string { return fmt.Sprintf("%.0fs", d.Seconds()) }

// demoRow is text that may stand in a row of columns: without the two blanks that part columns.
func demoRow(text string) string { return strings.Join(strings.Fields(text), " ") }
