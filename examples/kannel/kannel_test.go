//go:build integration

// Package kannel_test runs the example's whole site: real Kannel, two SMSCs, a sender and signalbox, each a process.
package kannel_test

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/rules/route"
)

const acme, bolt = route.ID("acme-uk"), route.ID("bolt-uk")

// A carrier that accepts messages and swallows them is taken out, Kannel's traffic follows, signalbox is killed
// meanwhile and knows everything again, and the carrier comes back step by step once it is well.
func TestCarrierSwallowsMessages(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	began := s.table(t)
	s.wantShares(t, began, route.Active, 7000)
	s.startSender(t, 12)
	await(t, "both routes can be judged", func() bool { return s.known(t, acme) && s.known(t, bolt) })
	s.sendMore(t, 150)

	swallowed := time.Now()
	order(t, s.acme, "swallow")
	demoted := s.awaitPhase(t, route.Demoted)
	t.Logf("demoted %s after the first message was swallowed", time.Since(swallowed).Round(time.Second))
	s.wantShares(t, demoted, route.Demoted, 500)
	s.wantDemotion(t, demoted)

	s.awaitGeneration(t, demoted)
	lost := len(kannels(t, s.acme).Swallowed)
	followed := s.sendMore(t, 150)
	if n := asked(followed, acme); n > len(followed)/4 {
		t.Errorf("after the demotion: got %d of %d messages for %s, want about 5%%", n, len(followed), acme)
	}
	t.Logf("%d messages were swallowed until the sender had the new table", lost)

	s.crash(t, demoted)

	healed := time.Now()
	order(t, s.acme, "heal")
	active := s.awaitPhase(t, route.Active)
	t.Logf("active %s after it healed, %s after it was demoted", time.Since(healed).Round(time.Second), active.PublishedAt.Sub(demoted.PublishedAt).Round(time.Second))
	s.wantShares(t, active, route.Active, 7000)
	s.wantWayBack(t)

	s.awaitGeneration(t, active)
	back := s.sendMore(t, 150)
	if n := asked(back, acme); n < len(back)/2 {
		t.Errorf("after the promotion: got %d of %d messages for %s, want about 70%%", n, len(back), acme)
	}
	s.sender.Process.Signal(syscall.SIGUSR2)
	s.wantNothingLost(t)
}

// A carrier that answers no submit_sm, while its bind is up and enquire_link is answered, looks online to Kannel, which
// queues and says nothing. What the sender itself tells of its messages is enough to see it.
func TestCarrierAnswersNothing(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	s.startSender(t, 12)
	await(t, "both routes can be judged", func() bool { return s.known(t, acme) && s.known(t, bolt) })
	s.sendMore(t, 150)

	muted := time.Now()
	order(t, s.acme, "mute")
	demoted := s.awaitPhase(t, route.Demoted)
	t.Logf("demoted %s after the carrier went mute", time.Since(muted).Round(time.Second))
	s.wantDemotion(t, demoted)
	if status := s.links(t); strings.Count(status, "(online") != 2 {
		t.Errorf("Kannel no longer calls both links online: this test shows nothing\n%s", status)
	}
}

// crash kills signalbox and starts it again: senders and Kannel go on meanwhile, the table is the same, and the calls
// that failed meanwhile are repeated.
func (s *site) crash(t *testing.T, before route.Table) {
	t.Helper()
	s.box.kill(t)
	s.sendMore(t, 30)
	s.tap.restarted()
	s.startBox(t)
	after := s.table(t)
	if before.Generation.Newer(after.Generation) || !reflect.DeepEqual(after.Lanes, before.Lanes) {
		t.Errorf("after a crash: got %s %+v\nwant %s %+v", after.Generation, after.Lanes, before.Generation, before.Lanes)
	}
	await(t, "Kannel calls again", func() bool {
		calls := s.tap.taken()
		return count(calls, func(c *call) bool { return c.box == 1 && c.accepted() }) > 50 && count(calls, func(c *call) bool { return c.box == 1 && c.final() }) > 50
	})
}

// table is the table in force.
func (s *site) table(t *testing.T) route.Table {
	t.Helper()
	return read[route.Table](t, s.signalbox+"/routes")
}

// entry is a route's place in the only lane.
func entry(t *testing.T, table route.Table, id route.ID) route.Entry {
	t.Helper()
	if len(table.Lanes) == 1 {
		for _, e := range table.Lanes[0].Routes {
			if e.Route == id {
				return e
			}
		}
	}
	t.Fatalf("table: got %+v, want one lane with %s", table, id)
	return route.Entry{}
}

// awaitPhase waits for a phase of acme, and returns the table that brought it.
func (s *site) awaitPhase(t *testing.T, phase route.Phase) (table route.Table) {
	t.Helper()
	await(t, "acme-uk is "+string(phase), func() bool {
		table = s.table(t)
		if e := entry(t, table, bolt); e.Phase != route.Active {
			t.Fatalf("bolt-uk is well: got %+v", e)
		}
		return entry(t, table, acme).Phase == phase
	})
	return table
}

// wantShares wants acme in a phase with at most a share of the lane, and the rest with bolt.
func (s *site) wantShares(t *testing.T, table route.Table, phase route.Phase, most int) {
	t.Helper()
	a, b := entry(t, table, acme), entry(t, table, bolt)
	if a.Phase != phase || a.Share > most || a.Share < most/2 || b.Phase != route.Active || b.Share != route.FullShare-a.Share {
		t.Errorf("table %s: got %+v %+v, want %s with %d", table.Generation, a, b, phase, most)
	}
}

// known reports whether the delivery of a route can be judged.
func (s *site) known(t *testing.T, id route.ID) bool {
	t.Helper()
	lane := read[struct {
		Routes []struct {
			Route   route.ID      `json:"route"`
			Signals route.Signals `json:"signals"`
		} `json:"routes"`
	}](t, s.signalbox+"/api/v1/lanes/otp/GB")
	for _, r := range lane.Routes {
		if r.Route == id {
			return r.Signals.Delivery.Known
		}
	}
	return false
}

// demotionText is what the sentence has to say, whatever its words: how many messages since when, how many of them came
// back, how many can come at most, and what is normal.
var demotionText = regexp.MustCompile(`^of \d+ messages since \d\d:\d\d:\d\d .*\b\d+ came back delivered\b.*; at most \d\d?% .*, baseline 98%$`)

// wantDemotion looks at what senders, the journal and a person who asks are told.
func (s *site) wantDemotion(t *testing.T, table route.Table) {
	t.Helper()
	because := entry(t, table, acme).Reason
	if because == nil || because.Rule != "receipts-collapse" || !demotionText.MatchString(because.Text) {
		t.Fatalf("reason in the table: got %+v", because)
	}
	d := read[route.Decision](t, s.signalbox+"/api/v1/decisions/"+because.Decision)
	if d.Route != acme || d.From != route.Active || d.To != route.Demoted || !d.Enforced || d.Reason != route.RuleMatched || d.Rule != because.Rule || d.Text != because.Text || d.Generation != table.Generation {
		t.Errorf("decision: got %+v", d)
	}
	compared := slices.IndexFunc(d.Guards, func(g route.GuardResult) bool { return g.Guard == "common_cause" })
	if compared < 0 || !strings.HasPrefix(d.Guards[compared].Why, "bolt-uk is proven better on ") {
		t.Errorf("guards: got %+v", d.Guards)
	}
	why := read[struct{ Text, Next string }](t, s.signalbox+"/api/v1/explain?route=acme-uk&class=otp&network=234-15")
	if !strings.HasPrefix(why.Text, "demoted since ") || !strings.HasSuffix(why.Text, because.Text) || why.Next == "" {
		t.Errorf("explain: got %+v", why)
	}
	t.Logf("decision %s: %s", d.ID, d.Text)
}

// wantWayBack looks at the decisions of the whole story.
func (s *site) wantWayBack(t *testing.T) {
	t.Helper()
	all := read[struct{ Decisions []route.Decision }](t, s.signalbox+"/api/v1/decisions?limit=500").Decisions
	var steps []string
	for _, d := range slices.Backward(all) {
		t.Logf("decision %s of %s: %s → %s, enforced %t, %s: %s", d.ID, d.Route, d.From, d.To, d.Enforced, d.Reason, d.Text)
		if d.Enforced {
			steps = append(steps, string(d.Route)+" "+string(d.From)+" "+string(d.To)+" "+string(d.Reason))
		}
	}
	want := []string{
		"acme-uk active demoted RuleMatched",
		"acme-uk demoted recovering RuleCleared", "acme-uk recovering recovering RuleCleared", "acme-uk recovering active RuleCleared",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("decisions: got %q\nwant %q", steps, want)
	}
}

// sent is one message as the sender tells of it.
type sent struct {
	ID         string           `json:"id"`
	Route      route.ID         `json:"route"`
	Generation route.Generation `json:"generation"`
	Status     int              `json:"status"`
	Answer     string           `json:"answer"`
}

// ledger is all that the sender has handed to Kannel.
func (s *site) ledger(t *testing.T) []sent {
	t.Helper()
	file, err := os.Open(s.sender.log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []sent
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var m sent
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue // a complaint, or a line that is not whole yet
		}
		if m.Status != 202 {
			t.Fatalf("sendsms: got %+v", m)
		}
		all = append(all, m)
	}
	return all
}

// sendMore waits for n more messages, and returns those.
func (s *site) sendMore(t *testing.T, n int) []sent {
	t.Helper()
	had := len(s.ledger(t))
	var all []sent
	await(t, strconv.Itoa(n)+" more messages", func() bool {
		all = s.ledger(t)
		return len(all) >= had+n
	})
	return all[had:]
}

// awaitGeneration waits until the sender goes by a table.
func (s *site) awaitGeneration(t *testing.T, table route.Table) {
	t.Helper()
	await(t, "the sender has table "+table.Generation.String(), func() bool {
		all := s.ledger(t)
		return len(all) > 0 && !table.Generation.Newer(all[len(all)-1].Generation)
	})
}

func asked(messages []sent, id route.ID) int {
	n := 0
	for _, m := range messages {
		if m.Route == id {
			n++
		}
	}
	return n
}

// wantNothingLost compares what the sender, Kannel, the carriers and signalbox know of every message.
func (s *site) wantNothingLost(t *testing.T) {
	t.Helper()
	ofAcme, ofBolt := kannels(t, s.acme), kannels(t, s.bolt)
	await(t, "every message that was not swallowed has its receipt", func() bool {
		ofAcme, ofBolt = kannels(t, s.acme), kannels(t, s.bolt)
		calls := s.tap.taken()
		finals := map[string]bool{}
		for i := range calls {
			if calls[i].final() {
				finals[calls[i].fid] = true
			}
		}
		accepted := ofAcme.Accepted + ofBolt.Accepted
		return accepted >= len(s.ledger(t)) && len(finals) == accepted-len(ofAcme.Swallowed)
	})
	all, calls := s.ledger(t), s.tap.taken()
	t.Logf("%d messages: acme-uk accepted %d and swallowed %d of them, bolt-uk accepted %d; %d calls of dlr-url",
		len(all), ofAcme.Accepted, len(ofAcme.Swallowed), ofBolt.Accepted, len(calls))
	if n := ofAcme.Accepted + ofBolt.Accepted; n != len(all) {
		t.Errorf("messages: %d were sent and the carriers have %d", len(all), n)
	}

	byID := map[string]route.ID{}
	for _, m := range all {
		byID[m.ID] = m.Route
	}
	fids, finals := map[string]bool{}, map[string]bool{}
	carried := map[string]int{}
	for i := range calls {
		c := &calls[i]
		if byLabel := c.asked == ""; !byLabel && (byID[c.id] != route.ID(c.carried) || c.asked != c.carried) {
			t.Errorf("message %s asked for %s and went by %q", c.id, byID[c.id], c.carried)
		}
		switch {
		case c.accepted():
			fids[c.fid] = true
			carried[c.carried]++
		case c.final():
			finals[c.fid] = true
		default:
			t.Errorf("got %+v, want accepted or final", *c)
		}
	}
	if len(fids) != len(all) {
		t.Errorf("accepted by the carriers as signalbox heard: got %d, want %d", len(fids), len(all))
	}
	if carried[string(acme)] < ofAcme.Accepted || carried[string(bolt)] < ofBolt.Accepted {
		t.Errorf("by link: got %v, want %d and %d", carried, ofAcme.Accepted, ofBolt.Accepted)
	}
	var open []string
	for fid := range fids {
		if !finals[fid] {
			open = append(open, fid)
		}
	}
	slices.Sort(open)
	slices.Sort(ofAcme.Swallowed)
	if !slices.Equal(open, ofAcme.Swallowed) || len(ofBolt.Swallowed) > 0 {
		t.Errorf("without a receipt: got %d %q\nwant %d %q", len(open), open, len(ofAcme.Swallowed), ofAcme.Swallowed)
	}
	s.wantMetrics(t, calls)
}

// wantMetrics compares what signalbox counted since it was last started with what was passed to it.
func (s *site) wantMetrics(t *testing.T, calls []call) {
	t.Helper()
	last := calls[len(calls)-1].box
	for series, want := range map[string]int{
		`signalbox_receipts_calls_total{format="kannel",outcome="taken"}`: count(calls, func(c *call) bool { return c.box == last }),
		`signalbox_events_total{type="receipt"}`:                          count(calls, func(c *call) bool { return c.box == last && c.final() }),
		`signalbox_receipts_calls_total{format="kannel",outcome="busy"}`:  0,
		`signalbox_receipts_unmatched_total`:                              0,
		`signalbox_receipts_contradicting_total`:                          0,
		`signalbox_messages_evicted_total`:                                0,
		`signalbox_store_commit_errors_total`:                             0,
	} {
		if got := s.metric(t, series); got != float64(want) {
			t.Errorf("%s: got %v, want %d", series, got, want)
		}
	}
}

// metric is the value of one series.
func (s *site) metric(t *testing.T, series string) float64 {
	t.Helper()
	for line := range strings.Lines(get(t, s.signalbox+"/metrics")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("metrics: want %s", series)
	return 0
}
