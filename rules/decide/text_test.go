package decide

import (
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(*testing.T) route.Decision
		want string
	}{
		{"a demotion", func(t *testing.T) route.Decision { return only(t, plain.begin(t).look("a", failing).round()) },
			"of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered and 20 failed; at most 42% will, baseline 95%"},
		{"a silent route", func(t *testing.T) route.Decision { return only(t, plain.begin(t).look("a", silent).round()) },
			"of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered; at most 42% will, baseline 95%"},
		{"two rules", func(t *testing.T) route.Decision {
			return only(t, plain.begin(t).look("a", look{failure: 20, bind: 3, peers: -9}).round())
		}, "of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered and 20 failed; at most 42% will, baseline 95%; also asked for by bind"},
		{"conversions", func(t *testing.T) route.Decision {
			return only(t, site{rules: conversionsRule}.begin(t).look("a", look{lost: 20, peers: -9}).round())
		}, "of 200 messages since 09:59:05 whose conversions should be back, 20 converted; at most 30% will, baseline 80%"},
		{"lateness", func(t *testing.T) route.Decision {
			return only(t, site{rules: lateRule}.begin(t).look("a", look{late: 20, peers: -9}).round())
		}, "of 120 messages since 09:59:05, 20% were answered within 10s, usually 75%; 95% of receipts came within 3m, usually 42s"},
		{"a share in time", func(t *testing.T) route.Decision {
			return only(t, site{rules: strings.Replace(lateRule, "latency.evidence >= 12.0", "within.ratio < 0.5", 1)}.begin(t).look("a", look{late: 20, peers: -9}).round())
		}, "of 120 messages since 09:59:05, 44% were delivered within 30s, baseline 88%"},
		{"a step back from lateness", func(t *testing.T) route.Decision {
			s := site{rules: lateRule}.begin(t)
			s.look("a", look{late: 20, peers: -9}).round()
			s.look("a", look{quick: 9, peers: -9}).rounds(5*time.Minute + signal.Tick)
			return s.journal[len(s.journal)-1]
		}, "back to its full place: 75% of the last 120 messages were answered within 10s, more than 1000 times likelier if receipts are as quick as usual than if they were as late as when it was demoted"},
		{"a probe", func(t *testing.T) route.Decision { return only(t, plain.begin(t).look("a", unbound).round()) },
			`probe["bind"].failures is 3 (>= 3)`},
		{"a rule of two kinds, by the one that is true", func(t *testing.T) route.Decision {
			return only(t, site{guards: `{common_cause: {wait: 0s}}`, rules: `
  - name: either
    class: ["*"]
    demote: {when: 'delivery.evidence >= 12.0 || probe["bind"].failures >= 3'}
    promote: {when: delivery.recovered >= 4.6}`}.begin(t).look("a", unbound).round())
		}, `delivery.evidence is 0 (>= 12), probe["bind"].failures is 3 (>= 3)`},
		{"a step back", func(t *testing.T) route.Decision { s := recovering(t, plain); return s.journal[len(s.journal)-1] },
			"step 1 of 3 of its way back, 5% of its traffic: 226 of the last 240 messages came back delivered, more than 1000 times likelier if the route is well than if it were as bad as when it was demoted"},
		{"the last step", func(t *testing.T) route.Decision {
			s := recovering(t, plain)
			s.rounds(2 * time.Minute)
			return only(t, s.look("a", look{recovered: 5, bind: -3}).rounds(2*time.Minute))
		}, "back to its full place: 226 of the last 240 messages came back delivered, 148 times likelier if the route is well than if it were as bad as when it was demoted"},
		{"a hold", func(t *testing.T) route.Decision {
			return only(t, plain.begin(t).look("a", look{failure: 20, peers: 9, bind: -3}).round())
		}, "not demoted, common_cause: 3 of 3 routes of the lane have the same trouble, so the destination is bad, or what observes it; what asks for it: of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered and 20 failed; at most 42% will, baseline 95%"},
		{"a hold for want of a second channel", func(t *testing.T) route.Decision {
			return only(t, site{guards: corroborating}.begin(t).look("a", silent).round())
		}, "not demoted, corroborate: receipts are missing, and there are no conversions and no handset probes to bear it out; what asks for it: of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered; at most 42% will, baseline 95%"},
		{"a hold-down into the next day", func(t *testing.T) route.Decision {
			s := plain.begin(t)
			s.now = began.Add(14*time.Hour - 10*time.Second)
			s.look("a", unbound).round()
			return only(t, s.look("a", well).rounds(10*time.Second))
		}, `not promoted, hold_down: it stays out until 00:01:55, its hold-down; what asks for it: back to its full place: probe["bind"].successes is 3 (>= 3)`},
		{"a proposal", func(t *testing.T) route.Decision {
			return only(t, inMode("propose", "", "").begin(t).look("a", failing).round())
		}, "to be demoted if a person approves by 10:15:05: of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered and 20 failed; at most 42% will, baseline 95%"},
		{"a proposal that expired", func(t *testing.T) route.Decision {
			s := inMode("propose", "", "").begin(t)
			s.look("a", failing).round()
			return only(t, s.rounds(15*time.Minute))
		}, "the proposal 1-1-1 is over: nobody answered in time, nothing was changed"},
		{"what was only observed", func(t *testing.T) route.Decision {
			return only(t, inMode("observe", "", "").begin(t).look("a", failing).round())
		}, "would be demoted, but is only observed: of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered and 20 failed; at most 42% will, baseline 95%"},
		{"what cannot be judged", func(t *testing.T) route.Decision {
			return only(t, plain.begin(t).look("a", away).rounds(3*time.Minute))
		}, "cannot be judged since 10:00:05: delivery is unknown: no event and no heartbeat from s1 for more than 25s"},
		{"a probe without a result", func(t *testing.T) route.Decision {
			return only(t, site{rules: bindRule}.begin(t).look("a", look{}).rounds(3*time.Minute))
		}, "cannot be judged since 10:00:05: no result of its probe yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.tell(t).Text; got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestADecisionNamesTheDayWhereItIsNotToday(t *testing.T) {
	r := &round{now: began}
	for at, want := range map[time.Time]string{
		began.Add(time.Hour):                                "11:00:00",
		began.Add(20 * time.Hour):                           "2026-11-24 06:00:00",
		began.In(time.FixedZone("", -12*3600)):              "10:00:00",
		time.Date(2027, 1, 1, 0, 0, 0, 0, began.Location()): "2027-01-01 00:00:00",
	} {
		if got := r.clock(at); got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
}

func TestADecisionShowsWhatItWasMadeFrom(t *testing.T) {
	s := plain.begin(t)
	d := only(t, s.look("a", failing).look("c", away).round())
	if len(d.Inputs) != 1 || d.Inputs[0].Signal != "delivery.evidence" || d.Inputs[0].Value != 20.0 || d.Inputs[0].Threshold != 12.0 || d.Inputs[0].Messages != 240 {
		t.Errorf("got inputs %+v", d.Inputs)
	}
	want := []route.Alternative{{Route: "b", Why: "next in order, 94% delivered"}, {Route: "c", Why: "active, not known: no event and no heartbeat from s1 for more than 25s"}}
	if len(d.Alternatives) != 2 || d.Alternatives[0] != want[0] || d.Alternatives[1] != want[1] {
		t.Errorf("got alternatives %+v, want %+v", d.Alternatives, want)
	}
	if d.Traffic != "4.0/s" || d.PriceChange != "+10.0%" || d.Actor != nil || !d.Time.Equal(s.now) {
		t.Errorf("got traffic %q, price %q, actor %v at %s", d.Traffic, d.PriceChange, d.Actor, d.Time)
	}
}

func TestPriceChange(t *testing.T) {
	const shares = `
  - {class: otp, network: GB, share: {a: 50, b: 25, c: 25}}`
	for _, c := range []struct {
		name, lanes, routes string
		play                func(*story) []route.Decision
		want                string
	}{
		{"the next in order", "", "", func(s *story) []route.Decision { return s.look("a", unbound).round() }, "+10.0%"},
		{"not the first in order", "", "", func(s *story) []route.Decision { return s.look("b", unbound).round() }, ""},
		{"back again", "", "", func(s *story) []route.Decision {
			s.look("a", unbound).round()
			return s.look("a", well).rounds(2*time.Minute + 5*time.Second)[1:]
		}, "-9.1%"},
		{"the mean of what carries a weighted lane", shares, "", func(s *story) []route.Decision { return s.look("a", unbound).round() }, "+7.0%"},
		{"a step of a weighted lane", shares, "", func(s *story) []route.Decision {
			s.look("a", failing).round()
			return s.look("a", returned).rounds(5*time.Minute + 5*time.Second)[1:]
		}, ""},
		{"an unknown price", "", strings.Replace(plain.routes, "price: {GB: 0.0330 EUR}, ", "", 1), func(s *story) []route.Decision { return s.look("a", unbound).round() }, ""},
		{"another currency", "", strings.Replace(plain.routes, "0.0330 EUR", "0.0330 USD", 1), func(s *story) []route.Decision { return s.look("a", unbound).round() }, ""},
		{"one unknown price in a weighted lane", shares, strings.Replace(plain.routes, "price: {GB: 0.0330 EUR}, ", "", 1), func(s *story) []route.Decision { return s.look("a", unbound).round() }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := only(t, c.play(site{lanes: c.lanes, routes: c.routes}.begin(t)))
			if !d.Enforced || d.PriceChange != c.want {
				t.Errorf("got %q, want %q", d.PriceChange, c.want)
			}
		})
	}
}
