package settings

import (
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// budgeted are settings with a message every so often, at a price, and budgets.
func budgeted(every, price, own, all string) string {
	return `version: 1
numbers: {uk: {number: "447700900001", network: GB}}
budget: ` + all + `
routes:
  acme: {smpp: {address: "a.example:1"}, message: {every: ` + every + `, numbers: [uk]` + price + own + `}}
  nova: {http: {url: "https://n.example/", message: {every: 1h, numbers: [uk]` + price + `}}}
`
}

func TestAdviceOnBudgetsThatDoNotLastTheDay(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"enough":                   {budgeted("1h", "", "", "{messages: 48}"), ""},
		"one too few":              {budgeted("1h", "", "", "{messages: 47}"), "p.yml:3:20: budget.messages: want 48, which is what a whole day takes at most, got 47: it is spent at about 23:30 UTC"},
		"half a day, of a route":   {budgeted("30m", "", ", budget: {messages: 24}", "{messages: 100}"), "p.yml:5:98: routes.acme.message.budget.messages: want 48, which is what a whole day takes at most, got 24: it is spent at about 12:00 UTC"},
		"money":                    {budgeted("1h", ", price: 0.05 EUR", "", "{money: 0.60 EUR}"), "p.yml:3:17: budget.money: want 2.40 EUR, which is what a whole day takes at most, got 0.60 EUR: it is spent at about 06:00 UTC"},
		"money to the cent":        {budgeted("1h", ", price: 0.05 EUR", "", "{money: 2.40 EUR}"), ""},
		"an interval that is odd":  {budgeted("7h", "", "", "{messages: 28}"), ""}, // 4 begin in a day, not 3.4
		"and is one too few again": {budgeted("7h", "", "", "{messages: 27}"), "p.yml:3:20: budget.messages: want 28"},
	} {
		s, err := Parse("p.yml", []byte(c.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := s.Advice()
		if len(got) > 1 || (len(got) == 1) != (c.want != "") || len(got) == 1 && !strings.HasPrefix(got[0].Error(), c.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", name, got.Error(), c.want)
		}
	}
}

func TestLooksAreThoseOfEachKind(t *testing.T) {
	s, err := Parse("p.yml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Parse("p.yml", []byte("version: 1\ncollectors: {jasmin: [{name: j1, url: \"http://127.0.0.1:1/metrics\"}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := bare.Looks("any"); len(got) != 3 {
		t.Errorf("a gateway without a map: got %v, want bind, queue and throttle of each route", got)
	}
	second := func(n int) route.Duration { return route.Duration(time.Duration(n) * time.Second) }
	usual := Times{second(10), second(2), second(5)}
	for id, want := range map[route.ID]map[string]Times{
		"acme": {"tcp": usual, "tls": usual, "bind": usual, "enquire": usual, "submit": {second(300), 0, second(5)}, "receipt": {second(300), 0, second(60)}, "handset": {second(300), 0, second(120)}, "queue": {second(10), 0, second(10)}, "throttle": {second(10), 0, second(10)}},
		"nova": {"http": {second(60), second(2), second(5)}},
		"none": {},
	} {
		got := s.Looks(id)
		if len(got) != len(want) {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
		for kind := range want {
			if got[kind] != want[kind] {
				t.Errorf("%s %s: got %v, want %v", id, kind, got[kind], want[kind])
			}
		}
	}
}

// What is found later is at the place of what it is about, or of the nearest thing above it.
func TestProblemsThatAreFoundLaterHaveTheirPlace(t *testing.T) {
	s, err := Parse("p.yml", []byte("version: 1\nroutes:\n  acme: {smpp: {address: \"a.example:1\"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"routes.acme.smpp.address":     "p.yml:3:26: ",
		"routes.acme.smpp.tls.ca_file": "p.yml:3:16: ",
		"routes.acme.message":          "p.yml:3:9: ",
		"inbound.phones.secret":        "p.yml:1:1: ",
	} {
		if got := s.Problem(path, "x").Error(); got != want+path+": x" {
			t.Errorf("got %s, want it at %s", got, want)
		}
	}
}

// A price of nothing never spends a budget of money, so that messages have to be bounded themselves.
func TestFreeMessagesWantABoundOfTheirOwn(t *testing.T) {
	for all, want := range map[string]string{
		"{money: 1.00 EUR}":              "routes.acme.message: want a budget of messages, here or for all routes: a price of nothing never spends the money",
		"{money: 1.00 EUR, messages: 5}": "",
	} {
		_, err := Parse("p.yml", []byte(budgeted("1h", ", price: 0 EUR", "", all)))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", all, err, want)
		}
	}
}
