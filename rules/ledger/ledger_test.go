package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

const site = `
version: 1
routes:
  acme: {provider: acme, networks: [GB], price: {GB: 0.0312 EUR, 234-10: 0.0290 EUR}}
  bolt: {provider: bolt, networks: [GB], price: {GB: 0.0330 EUR}}
  core: {provider: core, networks: [GB], price: {GB: 0.0410 USD}}
  dusk: {provider: dusk, networks: [GB]}
classes: {otp: {mode: act}, bulk: {mode: act}}
lanes:
  - {class: otp, network: GB, order: [acme, bolt, core, dusk]}
  - {class: bulk, network: GB, share: {acme: 60, core: 40}}
`

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]policy.File{{Name: "policy.yml", Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// evening is ten minutes before midnight.
var evening = time.Date(2026, 11, 25, 23, 50, 0, 0, time.UTC)

func minute(n int) time.Time { return evening.Add(time.Duration(n) * time.Minute) }

// table is one whose rows are "class network: route share …" at a minute.
func table(number uint64, at int, rows ...string) *route.Table {
	t := &route.Table{Generation: route.Generation{Epoch: 1, Number: number}, PublishedAt: minute(at)}
	for _, text := range rows {
		f := strings.Fields(text)
		l := route.LaneTable{Class: route.Class(f[0]), Network: route.Network(strings.TrimSuffix(f[1], ":"))}
		for i := 2; i < len(f); i += 2 {
			e := route.Entry{Route: route.ID(f[i]), Phase: route.Active}
			fmt.Sscan(f[i+1], &e.Share)
			l.Routes = append(l.Routes, e)
		}
		t.Lanes = append(t.Lanes, l)
	}
	return t
}

// The rows of the site while all is well, and its otp lane in an incident.
const (
	otpRest  = "otp GB: acme 10000 bolt 0 core 0 dusk 0"
	otpOut   = "otp GB: bolt 10000 core 0 dusk 0 acme 0"
	otpRamp  = "otp GB: bolt 7500 acme 2500 core 0 dusk 0"
	otpUSD   = "otp GB: core 10000 dusk 0 acme 0 bolt 0"
	otpDusk  = "otp GB: dusk 10000 core 0 acme 0 bolt 0"
	bulkRest = "bulk GB: acme 6000 core 4000"
)

// decided is an enforced decision about acme in the otp lane.
func decided(id string) []route.Decision {
	return []route.Decision{{ID: id, Lane: route.Lane{Class: "otp", Network: "GB"}, Route: "acme", Enforced: true}}
}

func newLedger(t testing.TB, text string) *Ledger {
	t.Helper()
	l := New()
	l.Use(parse(t, text), table(0, 0, otpRest, bulkRest))
	l.Turn(table(1, 0, otpRest, bulkRest), nil)
	return l
}

// send counts n submits at a minute.
func send(l *Ledger, n, at int, id route.ID, class route.Class, network route.Network, result route.Result) {
	for range n {
		l.Observe(&route.Observation{Kind: route.KindSubmit, Result: result, Time: minute(at), Route: id, Class: class, Network: network}, minute(at))
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAnIncidentIsAccountedExactly is reckoned by hand. The lane gives all to acme while all is well. From minute 2 on bolt
// carries it, from 6 on acme has a quarter again, at 8 it is back.
//
//	minutes 2 to 6: 3 × (0.0330 − 0.0312) + 2 × (0.0330 − 0.0290) on 234-10 + 1 × 0 that still went by acme = 0.0134
//	minutes 6 to 8: 4 messages by bolt: 4 × 0.0018 = 0.0072, 1 by acme: 0
func TestAnIncidentIsAccountedExactly(t *testing.T) {
	l := newLedger(t, site)
	send(l, 10, 1, "acme", "otp", "234-15", route.Accepted)
	out := decided("1-2-1")
	l.Costs(table(2, 2, otpOut, bulkRest), out)
	if out[0].Cost != nil {
		t.Errorf("got cost %s of the decision that began it", asJSON(t, out[0].Cost))
	}
	l.Turn(table(2, 2, otpOut, bulkRest), out)
	send(l, 3, 3, "bolt", "otp", "234-15", route.Accepted)
	send(l, 2, 3, "bolt", "otp", "234-10", route.Accepted)
	send(l, 1, 3, "acme", "otp", "234-15", route.Accepted)
	send(l, 7, 3, "bolt", "otp", "234-15", route.Refused)
	send(l, 2, 3, "bolt", "otp", "234-15", route.TimedOut)

	ramp := decided("1-3-1")
	l.Costs(table(3, 6, otpRamp, bulkRest), ramp)
	if got, want := asJSON(t, ramp[0].Cost), `{"changes":["1-2-1"],"from":"2026-11-25T23:52:00Z","messages":6,"amount":[{"amount":"0.0134","currency":"EUR"}]}`; got != want {
		t.Errorf("got cost %s, want %s", got, want)
	}
	l.Turn(table(3, 6, otpRamp, bulkRest), ramp)
	send(l, 4, 7, "bolt", "otp", "234-15", route.Accepted)
	send(l, 1, 7, "acme", "otp", "234-15", route.Accepted)
	back := decided("1-4-1")
	l.Costs(table(4, 8, otpRest, bulkRest), back)
	if got, want := asJSON(t, back[0].Cost), `{"changes":["1-3-1"],"from":"2026-11-25T23:56:00Z","messages":5,"amount":[{"amount":"0.0072","currency":"EUR"}]}`; got != want {
		t.Errorf("got cost %s, want %s", got, want)
	}
	l.Turn(table(4, 8, otpRest, bulkRest), back)
	send(l, 5, 9, "acme", "otp", "234-15", route.Accepted)

	r := l.Report(Query{}, minute(9))
	// 17 by acme at 0.0312, 9 by bolt at 0.0330: 0.5304 + 0.2970
	want := `[{"day":"2026-11-25","lane":{"class":"otp","network":"GB"},"messages":26,"spent":[{"amount":"0.8274","currency":"EUR"}],"unpriced":0,` +
		`"changed":{"messages":11,"difference":[{"amount":"0.0206","currency":"EUR"}],"unpriced":0},"routes":[` +
		`{"route":"acme","messages":17,"spent":[{"amount":"0.5304","currency":"EUR"}],"unpriced":0,"refused":0,"timed_out":0},` +
		`{"route":"bolt","messages":9,"spent":[{"amount":"0.297","currency":"EUR"}],"unpriced":0,"refused":7,"timed_out":2}]}]`
	if got := asJSON(t, r.Days); got != want {
		t.Errorf("got days %s\nwant %s", got, want)
	}
	want = `[{"decision":"1-2-1","lane":{"class":"otp","network":"GB"},"route":"acme","from":"2026-11-25T23:52:00Z","to":"2026-11-25T23:56:00Z","messages":6,"difference":[{"amount":"0.0134","currency":"EUR"}],"unpriced":0,"shares":[{"route":"bolt","share":10000}]},` +
		`{"decision":"1-3-1","lane":{"class":"otp","network":"GB"},"route":"acme","from":"2026-11-25T23:56:00Z","to":"2026-11-25T23:58:00Z","messages":5,"difference":[{"amount":"0.0072","currency":"EUR"}],"unpriced":0,"shares":[{"route":"bolt","share":7500},{"route":"acme","share":2500}]}]`
	if got := asJSON(t, r.Changes); got != want {
		t.Errorf("got changes %s\nwant %s", got, want)
	}
}

func TestMoneyOfTwoCurrenciesIsNotAdded(t *testing.T) {
	l := newLedger(t, site)
	l.Turn(table(2, 1, otpUSD, bulkRest), decided("1-2-1"))
	send(l, 3, 2, "core", "otp", "234-15", route.Accepted)
	send(l, 2, 2, "core", "bulk", "234-15", route.Accepted) // its lane is as always
	r := l.Report(Query{}, minute(3))
	if got, want := asJSON(t, r.Total), `{"messages":5,"spent":[{"amount":"0.205","currency":"USD"}],"unpriced":0,"changed":{"messages":3,"difference":[{"amount":"-0.0936","currency":"EUR"},{"amount":"0.123","currency":"USD"}],"unpriced":0}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSharesAreTheAverageOfTheirPrices(t *testing.T) {
	l := newLedger(t, strings.Replace(site, "0.0410 USD", "0.0410 EUR", 1))
	l.Turn(table(2, 1, otpRest, "bulk GB: core 10000 acme 0"), []route.Decision{{ID: "1-2-1", Lane: route.Lane{Class: "bulk", Network: "GB"}, Route: "acme", Enforced: true}})
	send(l, 7, 2, "core", "bulk", "234-15", route.Accepted)
	// 7 × 0.0410 − 7 × (0.6 × 0.0312 + 0.4 × 0.0410) = 0.2870 − 7 × 0.03512
	if got, want := asJSON(t, l.Report(Query{}, minute(3)).Total.Changed), `{"messages":7,"difference":[{"amount":"0.04116","currency":"EUR"}],"unpriced":0}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatHasNoPriceIsCountedAndSaid(t *testing.T) {
	l := newLedger(t, site)
	l.Turn(table(2, 1, otpDusk, bulkRest), decided("1-2-1"))
	send(l, 4, 2, "dusk", "otp", "234-15", route.Accepted)
	send(l, 1, 2, "bolt", "otp", "234-15", route.Accepted)
	next := decided("1-3-1")
	l.Costs(table(3, 3, otpRest, bulkRest), next)
	if got, want := asJSON(t, next[0].Cost), `{"changes":["1-2-1"],"from":"2026-11-25T23:51:00Z","messages":5,"amount":[{"amount":"0.0018","currency":"EUR"}],"unpriced":4}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := asJSON(t, l.Report(Query{}, minute(3)).Total), `{"messages":5,"spent":[{"amount":"0.033","currency":"EUR"}],"unpriced":4,"changed":{"messages":5,"difference":[{"amount":"0.0018","currency":"EUR"}],"unpriced":4}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestADayEndsAtMidnightOfTheSubmit(t *testing.T) {
	l := newLedger(t, site)
	l.Turn(table(2, 1, otpOut, bulkRest), decided("1-2-1"))
	for _, at := range []time.Time{minute(10).Add(-time.Nanosecond), minute(10)} {
		l.Observe(&route.Observation{Kind: route.KindSubmit, Time: at, Route: "bolt", Class: "otp", Network: "234-15"}, minute(11)) // both came after midnight
	}
	r := l.Report(Query{}, minute(11))
	if len(r.Days) != 2 || r.Days[0].Day != "2026-11-25" || r.Days[1].Day != "2026-11-26" {
		t.Fatalf("got %s", asJSON(t, r.Days))
	}
	for _, d := range r.Days {
		if got, want := asJSON(t, d.Changed), `{"messages":1,"difference":[{"amount":"0.0018","currency":"EUR"}],"unpriced":0}`; got != want || d.Messages != 1 {
			t.Errorf("%s: got %s, want %s", d.Day, got, want)
		}
	}
	if len(r.Changes) != 1 || r.Changes[0].Messages != 2 {
		t.Errorf("got changes %s, want one over midnight", asJSON(t, r.Changes))
	}
	if since := l.Report(Query{Since: minute(10)}, minute(11)); len(since.Days) != 1 || since.Since != "2026-11-26" {
		t.Errorf("got %s since midnight", asJSON(t, since))
	}
}

func TestWhatCountsForWhichChange(t *testing.T) {
	submit := func(at time.Time) *route.Observation {
		return &route.Observation{Kind: route.KindSubmit, Time: at, Route: "bolt", Class: "otp", Network: "234-15"}
	}
	withdrawn := submit(minute(2))
	withdrawn.Kind, withdrawn.Submitted, withdrawn.Time = route.KindWithdrawn, minute(2), minute(3)
	probe, receipt, again := submit(minute(2)), submit(minute(2)), submit(minute(2))
	probe.Kind, receipt.Kind, again.Kind = route.KindProbe, route.KindReceipt, route.KindDuplicate
	unserved := submit(minute(2))
	unserved.Network = "FR"
	for _, c := range []struct {
		name         string
		o            *route.Observation
		spent, first int64 // messages in all, and of the first change
	}{
		{"submitted under it, came after it", submit(minute(3)), 1, 1},
		{"submitted before it", submit(minute(0)), 1, 0},
		{"submitted after it", submit(minute(5)), 1, 0},
		{"withdrawn", withdrawn, -1, -1},
		{"a probe", probe, 0, 0},
		{"a receipt", receipt, 0, 0},
		{"a duplicate", again, 0, 0},
		{"of no lane", unserved, 0, 0},
		{"of 36 days ago", submit(minute(0).AddDate(0, 0, -36)), 0, 0},
	} {
		l := newLedger(t, site)
		l.Turn(table(2, 1, otpOut, bulkRest), decided("1-2-1"))
		l.Turn(table(3, 4, otpRest, bulkRest), decided("1-3-1"))
		l.Observe(c.o, minute(6))
		r := l.Report(Query{}, minute(6))
		if r.Total.Messages != c.spent || r.Changes[0].Messages != c.first {
			t.Errorf("%s: got %d messages, %d under the change, want %d and %d", c.name, r.Total.Messages, r.Changes[0].Messages, c.spent, c.first)
		}
	}
}

func TestAnOrderEverywhereIsChargedWithEachRow(t *testing.T) {
	l := newLedger(t, strings.Replace(site, "0.0410 USD", "0.0410 EUR", 1))
	drain := []route.Decision{{ID: "1-2-1", Lane: route.Lane{Class: "*", Network: "*"}, Route: "acme", Enforced: true}}
	l.Turn(table(2, 1, otpOut, "bulk GB: core 10000 acme 0"), drain)
	send(l, 1, 2, "bolt", "otp", "234-15", route.Accepted)
	send(l, 1, 2, "core", "bulk", "234-15", route.Accepted)
	end := []route.Decision{{ID: "1-3-1", Lane: route.Lane{Class: "*", Network: "*"}, Route: "acme", Enforced: true}, {ID: "1-3-2", Lane: route.Lane{Class: "otp", Network: "FR"}, Enforced: true}}
	l.Costs(table(3, 3, otpRest, bulkRest), end)
	// 0.0018 and 0.0410 − 0.03512
	if got, want := asJSON(t, end[0].Cost), `{"changes":["1-2-1"],"from":"2026-11-25T23:51:00Z","messages":2,"amount":[{"amount":"0.00768","currency":"EUR"}]}`; got != want || end[1].Cost != nil {
		t.Errorf("got %s and %s, want %s", got, asJSON(t, end[1].Cost), want)
	}
}

func TestARowOfItsOwnIsAChangeOfThatNetwork(t *testing.T) {
	l := newLedger(t, site)
	on := []route.Decision{{ID: "1-2-1", Lane: route.Lane{Class: "otp", Network: "234-10"}, Route: "acme", Enforced: true}}
	l.Turn(table(2, 1, otpRest, "otp 234-10: bolt 10000 acme 0", bulkRest), on)
	send(l, 1, 2, "bolt", "otp", "234-10", route.Accepted)
	send(l, 1, 2, "acme", "otp", "234-15", route.Accepted)
	back := []route.Decision{{ID: "1-3-1", Lane: route.Lane{Class: "otp", Network: "234-10"}, Route: "acme", Enforced: true}}
	l.Costs(table(3, 3, otpRest, bulkRest), back)
	if back[0].Cost == nil || back[0].Cost.Messages != 1 || back[0].Cost.Amount[0].String() != "0.004 EUR" {
		t.Errorf("got %s", asJSON(t, back[0].Cost))
	}
}

// keep writes what is pending over what was kept before, as a store does.
func keep(t testing.TB, l *Ledger, kept map[string]Page) {
	t.Helper()
	pages, err := l.Pending()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if kept[p.Key] = p; len(p.Data) == 0 {
			delete(kept, p.Key)
		}
	}
	l.Saved()
}

func restored(t testing.TB, kept map[string]Page) *Ledger {
	t.Helper()
	var pages []Page
	for _, p := range kept {
		pages = append(pages, p)
	}
	l, err := Restore(pages)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	whole, kept := newLedger(t, site), map[string]Page{}
	cut := newLedger(t, site)
	for i, l := range []*Ledger{whole, cut} {
		l.Turn(table(2, 1, otpOut, bulkRest), decided("1-2-1"))
		send(l, 3, 2, "bolt", "otp", "234-15", route.Accepted)
		if i == 1 {
			keep(t, l, kept)
			l = restored(t, kept)
			cut = l
			l.Use(parse(t, site), table(0, 0, otpRest, bulkRest))
			l.Turn(table(2, 1, otpOut, bulkRest), nil)
			if l.Dirty() {
				t.Error("got a ledger that a restart has changed")
			}
		}
		send(l, 2, 12, "bolt", "otp", "234-15", route.Accepted)
		l.Turn(table(3, 13, otpRest, bulkRest), decided("1-3-1"))
	}
	if got, want := asJSON(t, cut.Report(Query{}, minute(14))), asJSON(t, whole.Report(Query{}, minute(14))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	keep(t, cut, kept)
	if got, want := asJSON(t, restored(t, kept).Report(Query{}, minute(14)).Total), asJSON(t, whole.Report(Query{}, minute(14)).Total); got != want {
		t.Errorf("got total %s after another restart, want %s", got, want)
	}
}

func TestAChangeThatWasNotStoredEndsWithTheTableThatWas(t *testing.T) {
	l, kept := newLedger(t, site), map[string]Page{}
	l.Turn(table(2, 1, otpOut, bulkRest), decided("1-2-1"))
	send(l, 3, 2, "bolt", "otp", "234-15", route.Accepted)
	keep(t, l, kept) // and then the table turned, and the process was killed
	l = restored(t, kept)
	l.Use(parse(t, site), table(0, 0, otpRest, bulkRest))
	ramp := table(3, 5, otpRamp, bulkRest)
	since := minute(5)
	ramp.Lanes[0].Routes[1].Reason, ramp.Lanes[0].Routes[1].Since = &route.Because{Rule: "collapse", Decision: "1-3-1"}, &since
	l.Turn(ramp, nil)
	r := l.Report(Query{}, minute(6))
	if len(r.Changes) != 2 || !r.Changes[0].To.Equal(minute(5)) || r.Changes[1].Decision != "1-3-1" || r.Changes[1].Route != "acme" || !r.Changes[1].To.IsZero() {
		t.Errorf("got %s", asJSON(t, r.Changes))
	}
}

func TestDaysAndChangesThatAreTooOldAreForgotten(t *testing.T) {
	l, kept := newLedger(t, site), map[string]Page{}
	l.Turn(table(2, 1, otpOut, bulkRest), decided("1-2-1"))
	send(l, 1, 2, "bolt", "otp", "234-15", route.Accepted)
	l.Turn(table(3, 3, otpRest, bulkRest), decided("1-3-1"))
	keep(t, l, kept)
	if len(kept) != 2 {
		t.Fatalf("got %d pages, want a day and a change", len(kept))
	}
	send(l, 1, 35*24*60, "acme", "otp", "234-15", route.Accepted)
	keep(t, l, kept)
	r := restored(t, kept).Report(Query{}, minute(35*24*60))
	if len(kept) != 1 || len(r.Days) != 1 || r.Days[0].Day != "2026-12-30" || len(r.Changes) != 0 {
		t.Errorf("got %d pages and %s", len(kept), asJSON(t, r))
	}
}

func TestPagesThatCannotBeRead(t *testing.T) {
	for _, p := range []Page{{"day\x00x", []byte("[]")}, {"day\x00x", []byte(`{"day":"yesterday"}`)}, {"change\x001", []byte(`{"messages":"many"}`)}} {
		if _, err := Restore([]Page{p}); err == nil || !strings.Contains(err.Error(), "restore ledger: ") {
			t.Errorf("%s: got %v", p.Data, err)
		}
	}
	if l, err := Restore([]Page{{"of a later version", []byte("{}")}}); err != nil || l.Dirty() {
		t.Errorf("got %v for a page of a kind that is not known", err)
	}
}

// TestTheSumIsThatOfEachMessage adds up message by message what the ledger turns into money by the thousand.
func TestTheSumIsThatOfEachMessage(t *testing.T) {
	p := parse(t, site)
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(t, site)
		rows := []string{otpRest, otpOut, otpRamp, otpUSD, otpDusk}
		shares, spent, more := table(0, 0, otpRest).Lanes[0].Routes, Purse{}, Purse{}
		rest := shares
		for at := 1; at < rapid.IntRange(1, 30).Draw(rt, "n"); at++ {
			if rapid.Bool().Draw(rt, "turn") {
				next := table(uint64(at+1), at, rapid.SampledFrom(rows).Draw(rt, "row"), bulkRest)
				shares = next.Lanes[0].Routes
				l.Turn(next, decided(fmt.Sprintf("1-%d-1", at+1)))
				continue
			}
			id := rapid.SampledFrom([]route.ID{"acme", "bolt", "core", "dusk"}).Draw(rt, "route")
			n := rapid.SampledFrom([]route.Network{"234-10", "234-15"}).Draw(rt, "network")
			send(l, 1, at, id, "otp", n, route.Accepted)
			was, is := p.Route("acme").Price(n), p.Route(id).Price(n)
			if !is.Known() {
				continue
			}
			spent.Add(is.Currency, is.Amount)
			if !SameWeights(shares, rest) {
				more.Add(is.Currency, is.Amount)
				more.Add(was.Currency, was.Amount.Neg())
			}
		}
		total := l.Report(Query{}, minute(31)).Total
		if asJSON(t, total.Spent.Spent) != asJSON(t, spent) || asJSON(t, total.Changed.Difference) != asJSON(t, more) {
			rt.Fatalf("got %s, want %s and %s", asJSON(t, total), asJSON(t, spent), asJSON(t, more))
		}
	})
}

func TestTotalsOnlyGrow(t *testing.T) {
	l := newLedger(t, site)
	send(l, 2, 1, "acme", "otp", "234-15", route.Accepted)
	send(l, 1, 1, "dusk", "otp", "234-15", route.Accepted)
	l.Observe(&route.Observation{Kind: route.KindWithdrawn, Submitted: minute(1), Time: minute(2), Route: "acme", Class: "otp", Network: "234-15"}, minute(2))
	l.Settle()
	all, today := l.Totals(minute(2))
	if len(all) != 6 {
		t.Errorf("got %d totals, want one for each route of each lane", len(all))
	}
	all = slices.DeleteFunc(all, func(t Total) bool { return t.Messages == 0 })
	slices.SortFunc(all, func(a, b Total) int { return strings.Compare(string(a.Route), string(b.Route)) })
	if len(all) != 2 || all[0].Messages != 2 || all[0].Spent["EUR"].String() != "0.0624" || all[1].Currency != "" || all[1].Messages != 1 || len(today) != 0 {
		t.Errorf("got %+v, %v", all, today)
	}
}

func BenchmarkObserve(b *testing.B) {
	l := newLedger(b, site)
	l.Turn(table(2, 1, otpOut, bulkRest), decided("1-2-1"))
	o := [4]route.Observation{}
	for i := range o {
		o[i] = route.Observation{Kind: route.KindSubmit, Time: minute(2), Route: []route.ID{"acme", "bolt"}[i%2], Class: "otp", Network: []route.Network{"234-10", "234-15"}[i/2]}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		l.Observe(&o[n%4], minute(2))
	}
}
