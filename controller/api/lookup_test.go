package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"signalbox/rules/route"
)

// keyWithSlot finds a key that falls into [from, to).
func keyWithSlot(from, to int) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("m-", i)
		if s := route.Slot(key); s >= from && s < to {
			return key
		}
	}
}

func TestLookup(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		query string
		lane  string
		route string
		order string
		why   string
	}{
		"the lane itself":              {"class=otp&network=GB&key=" + keyWithSlot(0, 9900), "otp/GB", "bolt-uk", "[bolt-uk core-uk]", "is the one asked for; the key's slot is"},
		"a network of the country":     {"class=otp&network=234-15&key=" + keyWithSlot(0, 9900), "otp/GB", "bolt-uk", "[bolt-uk core-uk]", "GB is the most specific network with a lane that 234-15 lies in"},
		"the trickle of a demoted one": {"class=otp&network=GB&key=" + keyWithSlot(9900, 10000), "otp/GB", "acme-uk", "[acme-uk bolt-uk core-uk]", "acme-uk has slots 9900 to 9999"},
		"those before come last":       {"class=news&network=DE&key=" + keyWithSlot(5000, 10000), "*/*", "bolt-uk", "[bolt-uk acme-uk]", "class news has no lane of its own there, and * is"},
		"without a key":                {"class=otp&network=GB", "otp/GB", "", "[bolt-uk core-uk]", "lane otp/GB is the one asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := w.get("/routes/lookup?" + tc.query)
			var got lookup
			if err := json.Unmarshal(rec.Body.Bytes(), &got); rec.Code != 200 || err != nil {
				t.Fatalf("got %d %s, %v", rec.Code, rec.Body, err)
			}
			if got.Lane.String() != tc.lane || string(got.Route) != tc.route || fmt.Sprint(got.Order) != tc.order || !strings.Contains(got.Why, tc.why) {
				t.Errorf("got %+v, want %+v", got, tc)
			}
			if got.Generation != gen(42) || rec.Header().Get("Signalbox-Generation") != "1-42" {
				t.Errorf("got generation %s, want 1-42", got.Generation)
			}
			checkWalk(t, got)
		})
	}
}

// checkWalk: the steps cover all slots, and the chosen one has the key's.
func checkWalk(t *testing.T, l lookup) {
	t.Helper()
	at := 0
	for _, s := range l.Walk {
		if s.From != at || s.To != at+s.Share {
			t.Errorf("step %+v: want it from %d", s, at)
		}
		holds := l.Slot != nil && s.From <= *l.Slot && *l.Slot < s.To
		if s.Chosen != holds || s.Chosen != (s.Route == l.Route) {
			t.Errorf("step %+v: chosen %t for route %q, slot %v", s, s.Chosen, l.Route, l.Slot)
		}
		at = s.To
	}
	if at != route.FullShare {
		t.Errorf("the walk ends at %d, want %d", at, route.FullShare)
	}
}

func TestBadLookups(t *testing.T) {
	w := newWorld(t)
	for query, parameter := range map[string]string{
		"":                                "class",
		"network=GB":                      "class",
		"class=otp":                       "network",
		"class=otp&network=Britain":       "network",
		"class=otp&network=GB&key=a&key=": "key",
		"class=otp&network=GB&key=%f":     "query",
	} {
		if p := wantProblem(t, w.get("/routes/lookup?"+query), 400, "bad-parameter"); p.Parameter != parameter {
			t.Errorf("%s: got %s, want %s", query, p.Parameter, parameter)
		}
	}
	narrow := tableOf(43)
	narrow.Lanes = narrow.Lanes[:1]
	w.tables.publish(encode(narrow))
	wantProblem(t, w.get("/routes/lookup?class=bulk&network=GB"), 404, "no-lane")
}

func TestOrderLeavesOutWhatMayNotBeUsed(t *testing.T) {
	l := route.LaneTable{Routes: []route.Entry{
		{Route: "a", Phase: route.Active},
		{Route: "b", Phase: route.Recovering, Share: 10000},
		{Route: "c", Phase: route.Active, Admin: route.AdminDrained},
		{Route: "d", Phase: route.Demoted},
		{Route: "e", Phase: route.Demoted, Admin: route.AdminPinned},
		{Route: "f"},
	}}
	if got := fmt.Sprint(tryOrder(&l, 1)); got != "[b e f a]" {
		t.Errorf("got %s, want [b e f a]", got)
	}
}
