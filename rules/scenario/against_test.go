package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"signalbox/rules/ledger"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// pricedPolicy is the policy of the town with prices, changed by pairs of words.
func pricedPolicy(t testing.TB, changes ...string) *policy.Policy {
	t.Helper()
	text := `version: 1
routes:
  a: {provider: pa, networks: [GB], trickle: 2%, price: {GB: 0.0300 EUR}}
  b: {provider: pb, networks: [GB], trickle: 2%, price: {GB: 0.0350 EUR, 234-15: 0.0400 EUR}}
classes:
  otp: {mode: act, within: 30s, unknown_after: 2m}
lanes:
  - {class: otp, network: GB, order: [a, b]}
` + rules
	p, err := policy.Parse([]policy.File{{Name: "town.yml", Data: []byte(strings.NewReplacer(changes...).Replace(text))}})
	if err != nil {
		t.Fatalf("parse policy: %v", err)
	}
	return p
}

func compare(p, other *policy.Policy, all []route.Observation, since time.Time) Comparison {
	x := NewAgainst(p, other, signal.Options{}, route.Act, since)
	for i := range all {
		x.Observe(&all[i])
	}
	x.End()
	return x.Result()
}

func TestThePolicyAgainstItselfDiffersInNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var streets []street
		for _, id := range []route.ID{"a", "b"} {
			from := float64(rapid.IntRange(2, 5).Draw(rt, "from"))
			s := street{id: id, rate: rapid.SampledFrom([]float64{0.2, 1, 2}).Draw(rt, "rate")}
			if rapid.Bool().Draw(rt, "ill") {
				s.delivered = between(from, from+float64(rapid.IntRange(1, 5).Draw(rt, "lasts")), rapid.SampledFrom([]float64{0, 0.5}).Draw(rt, "delivered"))
			}
			streets = append(streets, s)
		}
		all := town{lasts: minutes(10), seed: rapid.Uint64().Draw(rt, "seed"), streets: streets, blind: rapid.Bool().Draw(rt, "blind")}.observations()
		p := pricedPolicy(t)
		c := compare(p, p, all, time.Time{})
		for _, a := range c.Alarms {
			if a.Policy != a.Against {
				rt.Fatalf("got %+v", a)
			}
		}
		if len(c.Moves) > 0 || len(c.Stretches) > 0 || c.Total.Messages > 0 || len(c.Total.Cost) > 0 || c.Messages == 0 {
			rt.Fatalf("got %s", encode(c))
		}
	})
}

func TestTheSamePairTheOtherWayRoundSaysTheOpposite(t *testing.T) {
	all := blackHole()
	p, slow := pricedPolicy(t), pricedPolicy(t, "delivery.messages >= 5.0}", "delivery.messages >= 5.0, for: 2m}")
	there, back := compare(p, slow, all, time.Time{}), compare(slow, p, all, time.Time{})
	if len(there.Moves) == 0 || len(there.Moves) != len(back.Moves) || len(there.Stretches) != len(back.Stretches) {
		t.Fatalf("got %s\nand the other way round %s", encode(there), encode(back))
	}
	for i := range there.Moves {
		there.Moves[i].Policy, there.Moves[i].Against = there.Moves[i].Against, there.Moves[i].Policy
	}
	if encode(there.Moves) != encode(back.Moves) {
		t.Errorf("got %s\nwant %s", encode(there.Moves), encode(back.Moves))
	}
	for i, s := range there.Stretches {
		o := back.Stretches[i]
		if !s.From.Equal(o.From) || !s.To.Equal(o.To) || s.Messages != o.Messages || !s.Moved.Equal(o.Moved) || len(s.Cost) != 1 || !s.Cost[0].Amount.Equal(o.Cost[0].Amount.Neg()) {
			t.Errorf("got %s\nand the other way round %s", encode(s), encode(o))
		}
	}
}

// TestWhatASlowerPolicyWouldHaveDone has one that waits two minutes more: in them its table keeps sending by the route
// that is dead, and the other pays for the dearer one.
func TestWhatASlowerPolicyWouldHaveDone(t *testing.T) {
	all := blackHole()
	p, slow := pricedPolicy(t), pricedPolicy(t, "delivery.messages >= 5.0}", "delivery.messages >= 5.0, for: 2m}")
	c := compare(p, slow, all, time.Time{})
	m, s := c.Moves[0], c.Stretches[0]
	if m.Route != "a" || m.To != route.Demoted || m.Policy == nil || m.Against == nil || !m.Against.Time.After(m.Policy.Time) {
		t.Fatalf("got %s, want a to go later under the slow policy", encode(m))
	}
	if !s.From.Equal(m.Policy.Time) || !s.To.Equal(m.Against.Time) {
		t.Errorf("got a stretch from %s to %s, want from %s to %s", s.From, s.To, m.Policy.Time, m.Against.Time)
	}
	want := 0
	for i := range all {
		if o := &all[i]; o.Kind == route.KindSubmit && !o.Time.Before(s.From) && o.Time.Before(s.To) {
			want++
		}
	}
	if s.Messages != want || want == 0 {
		t.Errorf("got %d messages, want %d", s.Messages, want)
	}
	// While a is out it keeps 2%; the slow policy sends all by it: 98% of the messages go by a instead of b, to 234-15.
	moved := decimal.NewFromInt(int64(want)).Mul(decimal.RequireFromString("0.98"))
	if cost := moved.Mul(decimal.RequireFromString("-0.0100")); !s.Moved.Equal(moved) || len(s.Cost) != 1 || !s.Cost[0].Amount.Equal(cost) || !s.Unpriced.IsZero() {
		t.Errorf("got %s moved for %s, want %s for %s EUR", s.Moved, s.Cost, moved, cost)
	}
	if c.Messages < c.Total.Messages || c.Total.Messages < s.Messages {
		t.Errorf("got %d messages of %d in all", c.Total.Messages, c.Messages)
	}
	if !slices.Contains(c.Alarms, Alarms{Rule: "receipts", Policy: 1, Against: 1}) {
		t.Errorf("got alarms %+v, want one of receipts by both", c.Alarms)
	}
	after := compare(p, slow, all, m.Against.Time.Add(time.Second))
	for _, d := range after.Moves {
		if d.first().Equal(m.Policy.Time) {
			t.Errorf("got %s, which was over before", encode(d))
		}
	}
}

func TestMoneyOfStretches(t *testing.T) {
	all := town{lasts: minutes(2), seed: 1, streets: []street{{id: "a", rate: 5}}}.observations()
	n := 0
	for i := range all {
		if all[i].Kind == route.KindSubmit {
			n++
		}
	}
	messages := decimal.NewFromInt(int64(n))
	for _, c := range []struct {
		name     string
		changes  []string
		moved    string // share of the messages
		cost     string // of one message, by currency
		unpriced string // share of the messages
	}{
		{"the order the other way round", []string{"order: [a, b]", "order: [b, a]"}, "1", "0.01 EUR", "0"},
		{"a tenth goes otherwise", []string{"order: [a, b]", "share: {a: 90, b: 10}"}, "0.1", "0.001 EUR", "0"},
		{"another currency", []string{"order: [a, b]", "order: [b, a]", "0.0400 EUR", "0.0500 USD"}, "1", "-0.03 EUR 0.05 USD", "0"},
		{"no price known", []string{"order: [a, b]", "order: [b, a]", ", price: {GB: 0.0350 EUR, 234-15: 0.0400 EUR}", ""}, "1", "", "1"},
		{"the same price", []string{"order: [a, b]", "order: [b, a]", "0.0400 EUR", "0.0300 EUR"}, "1", "", "0"},
		{"no lane for them", []string{"{class: otp, network: GB,", "{class: otp, network: 234-10,"}, "1", "", "1"},
	} {
		got := compare(pricedPolicy(t), pricedPolicy(t, c.changes...), all, time.Time{})
		if len(got.Stretches) == 0 || len(got.Moves) > 0 {
			t.Errorf("%s: got %s", c.name, encode(got))
			continue
		}
		cost := ""
		for _, p := range got.Total.Cost {
			cost += " " + p.Amount.Div(messages).String() + " " + p.Currency
		}
		s := got.Total
		if strings.TrimSpace(cost) != c.cost || !s.Moved.Equal(messages.Mul(decimal.RequireFromString(c.moved))) || !s.Unpriced.Equal(messages.Mul(decimal.RequireFromString(c.unpriced))) || s.Messages != n {
			t.Errorf("%s: got %d messages, %s moved, %s unpriced, %q each, want %d, %s and %s of them, %q", c.name, s.Messages, s.Moved, s.Unpriced, cost, n, c.moved, c.unpriced, c.cost)
		}
	}
}

// TestSlotsAreWhatPicksTell compares runs of slots with what every slot gets.
func TestSlotsAreWhatPicksTell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lane := func(name string) (es []route.Entry) {
			left := route.FullShare
			for _, id := range rapid.Permutation([]route.ID{"a", "b", "c"}).Draw(rt, name) {
				n := rapid.IntRange(0, left).Draw(rt, "share")
				es, left = append(es, route.Entry{Route: id, Share: n}), left-n
			}
			es[2].Share += left
			return es
		}
		a, b := lane("a"), lane("b")
		at := func(es []route.Entry, slot int) route.ID {
			sum := 0
			for _, e := range es {
				if sum += e.Share; sum > slot {
					return e.Route
				}
			}
			return ""
		}
		slot := 0
		ledger.Slots(a, b, func(x, y route.ID, n int) {
			for range n {
				if at(a, slot) != x || at(b, slot) != y {
					rt.Fatalf("slot %d: got %s and %s, want %s and %s", slot, x, y, at(a, slot), at(b, slot))
				}
				slot++
			}
		})
		if slot != route.FullShare {
			rt.Fatalf("got %d slots", slot)
		}
	})
}

func TestMovesAreMatched(t *testing.T) {
	at := func(m int) time.Time { return midnight.Add(time.Duration(m) * time.Minute) }
	const out, ramp, back = "active>demoted", "demoted>recovering", "recovering>active"
	type told struct {
		side   int
		minute int
		way    string
	}
	for _, c := range []struct {
		name string
		told []told
		want string
	}{
		{"the same", []told{{0, 1, out}, {1, 1, out}, {0, 5, ramp}, {1, 5, ramp}}, ""},
		{"the same, told the other way round", []told{{1, 1, out}, {0, 1, out}}, ""},
		{"later", []told{{0, 1, out}, {1, 3, out}}, "1>demoted/3"},
		{"never", []told{{0, 1, out}, {0, 5, ramp}, {0, 7, back}}, "1>demoted/- 5>recovering/- 7>active/-"},
		{"out later and back at the same time", []told{{0, 1, out}, {1, 2, out}, {0, 5, ramp}, {1, 5, ramp}, {0, 7, back}, {1, 7, back}}, "1>demoted/2"},
		{"once, and hours later both", []told{{0, 1, out}, {0, 5, back}, {0, 100, out}, {1, 100, out}}, "1>demoted/- 5>active/-"},
		{"twice instead of once", []told{{0, 1, out}, {1, 1, out}, {1, 5, ramp}, {1, 6, back}, {1, 8, out}, {1, 12, ramp}, {0, 12, ramp}}, "-/5>recovering -/6>active -/8>demoted"},
	} {
		var m matcher
		for _, x := range c.told {
			from, to, _ := strings.Cut(x.way, ">")
			m.add(x.side, &route.Decision{Time: at(x.minute), Lane: route.Lane{Class: "otp", Network: "GB"}, Route: "a", From: phase(from), To: phase(to), Enforced: true, Reason: route.RuleMatched, Rule: "r"})
		}
		if got := matched(m.finish()); !sameWords(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func phase(s string) route.Phase {
	for _, p := range []route.Phase{route.Active, route.Recovering, route.Demoted} {
		if string(p) == s {
			return p
		}
	}
	panic(s)
}

// matched is what differs in words: when the one moved, where to, and when the other did.
func matched(all []Differing) string {
	var words []string
	minute := func(m *Move, to string) string {
		if m == nil {
			return "-"
		}
		return m.Time.Format("4") + to
	}
	for _, d := range all {
		first, second := ">"+string(d.To), ""
		if d.Policy == nil {
			first, second = second, first
		}
		a, b := minute(d.Policy, first), minute(d.Against, second)
		if d.Policy != nil && d.Policy.Time.Sub(midnight) >= time.Hour {
			a = "late" + first
		}
		words = append(words, a+"/"+b)
	}
	return strings.Join(words, " ")
}

func sameWords(a, b string) bool { return strings.Join(strings.Fields(a), " ") == b }
