package way

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"signalbox/rules/route"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func hashOf(id string) uint64 { return xxhash.Sum64String(id) }

func routeHash(r route.ID) uint64 { return xxhash.Sum64String("route " + string(r)) }

func newWay(t testing.TB, o Options) *Way {
	t.Helper()
	o.Message, o.Route = hashOf, routeHash
	if o.Sample == 0 {
		o.Sample = 1
	}
	w, err := New(o, noon)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// submit is a submit of a message, so long after noon.
func submit(id string, r route.ID, after time.Duration) route.Observation {
	return route.Observation{Kind: route.KindSubmit, Time: noon.Add(after), Route: r, Class: "otp", Network: "234-15", Hash: hashOf(id) ^ routeHash(r)}
}

func receipt(id string, r route.ID, s route.Status, after time.Duration) route.Observation {
	o := submit(id, r, after)
	o.Kind, o.Status, o.Final, o.Submitted = route.KindReceipt, s, s.Final(), noon
	return o
}

// take hands over observations one by one, each a second after noon later than the one before.
func take(w *Way, all ...route.Observation) {
	for i := range all {
		w.Took(all[i:i+1], noon.Add(time.Duration(i)*time.Second))
	}
}

func find(t *testing.T, w *Way, id string, by route.ID) []Attempt {
	t.Helper()
	found, _, err := w.Find(id, by, noon.Add(time.Minute))
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return found
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAMessageThatFellBackToASecondRoute(t *testing.T) {
	w := newWay(t, Options{Kept: 100})
	first := submit("m-1", "acme", 0)
	first.Result, first.Fault, first.Code, first.Latency, first.Used = route.Refused, route.FaultCapacity, "0x58", 41*time.Millisecond, route.Generation{Epoch: 1, Number: 42}
	second := submit("m-1", "bolt", time.Second)
	enroute := receipt("m-1", "bolt", route.StatusEnroute, 2*time.Second)
	final := receipt("m-1", "bolt", route.StatusDelivered, 4100*time.Millisecond)
	final.Code = "000"
	proof := receipt("m-1", "bolt", 0, 9*time.Second)
	proof.Kind = route.KindConversion
	take(w, first, second, enroute, final, proof, submit("m-2", "acme", 0))

	got := find(t, w, "m-1", "")
	if len(got) != 2 {
		t.Fatalf("got %d attempts, want 2", len(got))
	}
	if a := got[0]; a.Route != "acme" || a.Result != "refused" || a.Fault != "capacity" || a.Code != "0x58" || a.Latency.D() != 41*time.Millisecond || a.Generation.String() != "1-42" || len(a.Receipts) != 0 {
		t.Errorf("got first attempt %s", asJSON(t, a))
	}
	want := `"receipts":[{"status":"enroute","time":"2026-11-25T12:00:02Z","age":"1s"},{"status":"delivered","time":"2026-11-25T12:00:04.1Z","age":"3s100ms","code":"000","counts":true}],"conversion":{"status":"converted","time":"2026-11-25T12:00:09Z","age":"8s"}`
	if a := asJSON(t, got[1]); !strings.Contains(a, want) || !strings.Contains(a, `"result":"accepted","latency":null,"generation":null`) {
		t.Errorf("got second attempt %s, want it to have %s", a, want)
	}
	if by := find(t, w, "m-1", "bolt"); len(by) != 1 || by[0].Route != "bolt" {
		t.Errorf("got %s by bolt", asJSON(t, by))
	}
	if text := asJSON(t, got); strings.Contains(text, "m-1") {
		t.Errorf("the window knows the id: %s", text)
	}
}

func TestWhatBecomesOfAnAttempt(t *testing.T) {
	accepted := submit("m", "acme", 0)
	withdrawn := accepted
	withdrawn.Kind, withdrawn.Code, withdrawn.Fault = route.KindWithdrawn, "0x0b", route.FaultMessage
	timeout := accepted
	timeout.Result = route.TimedOut
	lost := accepted
	lost.Kind = route.KindLost
	twice := receipt("m", "acme", route.StatusFailed, 3*time.Second)
	again := receipt("m", "acme", route.StatusDelivered, 5*time.Second)
	again.Kind, again.Final = route.KindContradiction, false
	duplicate := twice
	duplicate.Kind, duplicate.Time = route.KindDuplicate, noon.Add(time.Hour)
	counted := twice
	counted.Undated = true
	for _, c := range []struct {
		name string
		took []route.Observation
		want string
	}{
		{"withdrawn", []route.Observation{accepted, withdrawn}, `"result":"withdrawn","code":"0x0b","fault":"message"`},
		{"timed out", []route.Observation{timeout}, `"result":"timeout"`},
		{"forgotten by the joiner", []route.Observation{accepted, lost}, `"forgotten":true`},
		{"contradicted", []route.Observation{accepted, twice, again}, `[{"status":"failed","time":"2026-11-25T12:00:03Z","age":"3s","counts":true},{"status":"delivered","time":"2026-11-25T12:00:05Z","age":"5s"}]`},
		{"told twice", []route.Observation{accepted, twice, duplicate}, `[{"status":"failed","time":"2026-11-25T12:00:03Z","age":"3s","counts":true}]`},
		{"a receipt of a counter is of no message", []route.Observation{accepted, counted}, `"receipts":[]`},
		{"a receipt that says its submit", []route.Observation{twice}, `"result":"unseen"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWay(t, Options{Kept: 10})
			take(w, c.took...)
			if got := asJSON(t, find(t, w, "m", "")); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestASecondTryOnTheSameRouteIsASecondAttempt(t *testing.T) {
	w := newWay(t, Options{Kept: 3})
	refused := submit("m", "acme", 0)
	refused.Result = route.Refused
	take(w, refused, submit("m", "acme", 2*time.Second), receipt("m", "acme", route.StatusDelivered, 5*time.Second))
	got := find(t, w, "m", "")
	if len(got) != 2 || got[0].Result != "refused" || got[1].Result != "accepted" || len(got[0].Receipts) != 0 || len(got[1].Receipts) != 1 {
		t.Fatalf("got %s", asJSON(t, got))
	}
	take(w, submit("x", "acme", 0), submit("y", "acme", 0)) // the first attempt makes room
	if got := find(t, w, "m", ""); len(got) != 1 || got[0].Result != "accepted" {
		t.Errorf("got %s, want the second attempt alone", asJSON(t, got))
	}
}

func TestWhyAMessageIsNotThere(t *testing.T) {
	full := newWay(t, Options{Kept: 2})
	take(full, submit("a", "acme", 0), submit("b", "acme", 0), submit("c", "acme", 0))
	old := newWay(t, Options{Kept: 9, Age: 20 * time.Second})
	take(old, submit("a", "acme", 0))
	kept := newWay(t, Options{Kept: 9})
	take(kept, submit("a", "acme", 0))
	tenth := newWay(t, Options{Kept: 9, Sample: 0.1})
	out := ""
	for i := 0; out == ""; i++ {
		if id := fmt.Sprint("m-", i); hashOf(id) > tenth.limit {
			out = id
		}
	}
	for _, c := range []struct {
		name string
		way  *Way
		id   string
		by   route.ID
		want string
	}{
		{"room was made", full, "a", "", "no message with this id is among the 2 that are remembered, the oldest of which came at 2026-11-25T12:00:01Z: it never came or is older; at most 2 are kept, for at most 1d"},
		{"too old", old, "a", "", "no message of the last 20s is remembered, so it never came or is older"},
		{"never came", kept, "b", "", "no message with this id has come since 2026-11-25T12:00:00Z, when signalbox began to remember messages"},
		{"by another route", kept, "a", "bolt", `the message did not go by route "bolt" since 2026-11-25T12:00:00Z; it went by others`},
		{"not in the sample", tenth, out, "", "the id is not in the sample: --messages.sample keeps 10% of the ids, and this is not one"},
		{"switched off", newWay(t, Options{}), "a", "", "messages are not kept, as signalbox runs with --messages.kept 0"},
	} {
		if _, _, err := c.way.Find(c.id, c.by, noon.Add(time.Minute)); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestAnIDIsSampledOnAllRoutesOrOnNone(t *testing.T) {
	w := newWay(t, Options{Kept: 100_000, Sample: 0.25})
	n := 0
	for i := range 4000 {
		id := fmt.Sprint("m-", i)
		take(w, submit(id, "acme", 0), submit(id, "bolt", time.Second))
		switch found, _, err := w.Find(id, "", noon); {
		case err == nil && len(found) == 2:
			n++
		case err == nil:
			t.Fatalf("%s: got %d attempts", id, len(found))
		}
	}
	if n < 880 || n > 1120 { // 1000, and more than four standard deviations of 27
		t.Errorf("got %d ids of 4000, want a quarter", n)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for want, o := range map[string]Options{
		"messages kept: want 0 to 268435456, got -1":                    {Kept: -1, Sample: 1},
		"age of messages: want 1s to 20d, got 504h0m0s":                 {Age: 21 * 24 * time.Hour, Sample: 1},
		"sample of messages: want a share above 0 and at most 1, got 2": {Sample: 2},
		"sample of messages: want a share above 0 and at most 1, got 0": {},
		"way: want the hashes of messages and routes":                   {Sample: 1},
	} {
		if _, err := New(o, noon); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestTheWindowIsAsASlowOne compares the window with one that is a list.
func TestTheWindowIsAsASlowOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kept := rapid.IntRange(1, 40).Draw(rt, "kept")
		w := newWay(t, Options{Kept: kept, Age: 30 * time.Second})
		type sent struct {
			id string
			r  route.ID
			at time.Time
			no int
		}
		var list []sent
		now := noon
		for no := range rapid.IntRange(0, 200).Draw(rt, "n") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "s")) * time.Second)
			x := sent{fmt.Sprint("m-", rapid.IntRange(0, 9).Draw(rt, "id")), rapid.SampledFrom([]route.ID{"acme", "bolt"}).Draw(rt, "r"), now, no}
			o := submit(x.id, x.r, time.Duration(no))
			w.Took([]route.Observation{o}, now)
			for len(list) > 0 && (len(list) == kept || list[0].at.Add(30*time.Second).Before(now)) {
				list = list[1:]
			}
			list = append(list, x)
			for i := range 10 {
				id, want := fmt.Sprint("m-", i), []int{}
				for _, s := range list {
					if s.id == id {
						want = append(want, s.no)
					}
				}
				found, _, _ := w.Find(id, "", now)
				got := []int{}
				for _, a := range found {
					got = append(got, int(a.Time.Sub(noon)))
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					rt.Fatalf("%s after %d: got submits %v, want %v", id, no, got, want)
				}
			}
		}
		if int(w.ring.n) != len(list) || len(w.keys.numbers) > 2 {
			rt.Fatalf("got %d records and %d keys, want %d", w.ring.n, len(w.keys.numbers), len(list))
		}
	})
}
