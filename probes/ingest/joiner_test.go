package ingest

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newJoiner(t testing.TB, o JoinerOptions) *Joiner {
	t.Helper()
	j, err := NewJoiner(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// The stories write an observation as "<second> <what> <id>"; what is a word of words, with + where the line carries
// its key and submit time.
var words = map[string]route.Observation{
	"submit":    {Kind: route.KindSubmit, Class: "otp", Network: "GB"},
	"refused":   {Kind: route.KindSubmit, Class: "otp", Network: "GB", Result: route.Refused},
	"throttled": {Kind: route.KindSubmit, Class: "otp", Network: "GB", Result: route.Refused, Fault: route.FaultCapacity},
	"timeout":   {Kind: route.KindSubmit, Class: "otp", Network: "GB", Result: route.TimedOut},
	"enroute":   {Kind: route.KindReceipt, Status: route.StatusEnroute},
	"accepted":  {Kind: route.KindReceipt, Status: route.StatusAccepted},
	"unknown":   {Kind: route.KindReceipt, Status: route.StatusUnknown},
	"delivered": {Kind: route.KindReceipt, Status: route.StatusDelivered},
	"failed":    {Kind: route.KindReceipt, Status: route.StatusFailed},
	"converted": {Kind: route.KindConversion},
	"tick":      {Kind: route.KindHeartbeat},
}

func read(story string) (list []route.Observation) {
	for _, line := range strings.Split(story, ",") {
		var second float64
		var what, id string
		if n, _ := fmt.Sscan(line, &second, &what, &id); n < 2 {
			panic("cannot read " + line)
		}
		o, ok := words[strings.TrimSuffix(what, "+")]
		if !ok {
			panic("no such word: " + what)
		}
		o.Time, o.Message = noon.Add(time.Duration(second*float64(time.Second))), id
		if o.Kind != route.KindHeartbeat {
			o.Route = "a"
		}
		if strings.HasSuffix(what, "+") {
			o.Class, o.Network, o.Submitted = "bulk", "FR", noon
		}
		list = append(list, o)
	}
	return list
}

var kindNames = map[route.Kind]string{
	route.KindSubmit: "submit", route.KindReceipt: "receipt", route.KindConversion: "conversion", route.KindHeartbeat: "tick",
	route.KindLost: "lost", route.KindEarly: "early", route.KindWithdrawn: "withdrawn", route.KindDuplicate: "duplicate", route.KindUnmatched: "unmatched", route.KindContradiction: "contradiction",
}

// write is an emitted observation as a word: its kind, its status where it is final or not, and @second of its submit.
func write(o *route.Observation) string {
	s := kindNames[o.Kind]
	if o.Kind == route.KindReceipt {
		s = o.Status.String()
		if o.Final {
			s += "!"
		}
	}
	if !o.Submitted.IsZero() {
		s += fmt.Sprintf("@%v/%s/%s", o.Submitted.Sub(noon).Seconds(), o.Class, o.Network)
	}
	return s
}

func TestJoinerStories(t *testing.T) {
	for name, c := range map[string]struct {
		options    JoinerOptions
		story, got string
	}{
		"a receipt gets its message's key and submit time": {
			story: "1 submit m, 5 delivered m",
			got:   "submit delivered!@1/otp/GB",
		},
		"a receipt that carries all needs no submit": {
			story: "5 delivered+ m, 6 delivered+ m",
			got:   "delivered!@0/bulk/FR duplicate@0/bulk/FR",
		},
		"a submit after a receipt that carried all still counts": {
			story: "5 delivered+ m, 6 submit m, 7 submit m",
			got:   "delivered!@0/bulk/FR submit duplicate",
		},
		"a receipt by id follows one that carried all": {
			story: "5 accepted+ m, 6 delivered m, 7 converted m",
			got:   "accepted@0/bulk/FR delivered!@0/bulk/FR conversion@0/bulk/FR",
		},
		"the message's own submit goes before what a receipt carries": {
			story: "1 submit m, 5 delivered+ m",
			got:   "submit delivered!@1/otp/GB",
		},
		"everything counts once": {
			story: "1 submit m, 1 submit m, 2 enroute m, 2 enroute m, 3 delivered m, 3 delivered m, 4 converted m, 4 converted m",
			got:   "submit duplicate enroute@1/otp/GB duplicate@1/otp/GB delivered!@1/otp/GB duplicate@1/otp/GB conversion@1/otp/GB duplicate@1/otp/GB",
		},
		"states only rise": {
			story: "1 submit m, 2 accepted m, 3 enroute m, 4 unknown m, 5 delivered m, 6 enroute m",
			got:   "submit accepted@1/otp/GB duplicate@1/otp/GB duplicate@1/otp/GB delivered!@1/otp/GB duplicate@1/otp/GB",
		},
		"the first final status wins": {
			story: "1 submit m, 2 failed m, 3 delivered m, 4 delivered m, 5 failed m",
			got:   "submit failed!@1/otp/GB contradiction@1/otp/GB duplicate@1/otp/GB duplicate@1/otp/GB",
		},
		"a conversion needs no receipt": {
			story: "1 submit m, 2 converted m, 3 delivered m",
			got:   "submit conversion@1/otp/GB delivered!@1/otp/GB",
		},
		"receipts before their submit wait for it": {
			story: "1 enroute m, 1 delivered m, 1 delivered m, 2 converted m, 3 tick, 59 submit m, 60 delivered m",
			got:   "early early duplicate early tick submit enroute@59/otp/GB delivered!@59/otp/GB conversion@59/otp/GB duplicate@59/otp/GB",
		},
		"but not for ever": {
			story: "1 delivered m, 2 converted m, 70 tick, 71 submit m",
			got:   "early early unmatched unmatched tick submit",
		},
		"a second try after a refusal counts": {
			story: "1 refused m, 1 refused m, 2 submit m, 1 refused m, 2 submit m, 3 delivered m",
			got:   "submit duplicate submit duplicate duplicate delivered!@2/otp/GB",
		},
		"one attempt seen by the sender and by its gateway is one": {
			story: "1 refused m, 1.4 submit m, 5 submit m",
			got:   "submit duplicate submit",
		},
		"a carrier behind a gateway that refuses has failed the message": {
			story: "1 submit m, 1 refused m, 1 refused m, 2 delivered m",
			got:   "submit rejected!@1/otp/GB duplicate contradiction@1/otp/GB",
		},
		"unless it was asked for too much": {
			story: "1 submit m, 9 throttled m, 9 throttled m",
			got:   "submit withdrawn@1/otp/GB duplicate",
		},
		"a receipt for a submit that timed out": {
			story: "1 timeout m, 4 delivered m",
			got:   "submit delivered!@1/otp/GB",
		},
		"ids are of their message only": {
			story: "1 submit m, 2 submit n, 3 delivered n, 4 failed m",
			got:   "submit submit delivered!@2/otp/GB failed!@1/otp/GB",
		},
		"an open message forgotten for its number is lost": {
			options: JoinerOptions{MaxMessages: 2},
			story:   "1 submit l, 2 submit m, 3 submit n, 4 delivered m, 5 delivered n, 6 submit o, 7 delivered l, 70 tick",
			got:     "submit submit lost@1/otp/GB submit delivered!@2/otp/GB delivered!@3/otp/GB submit early unmatched tick",
		},
		"and for its age": {
			options: JoinerOptions{MaxAge: 10 * time.Second},
			story:   "1 submit m, 2 submit n, 3 delivered n, 11 tick, 13 tick, 14 tick, 15 tick",
			got:     "submit submit delivered!@2/otp/GB tick lost@1/otp/GB tick tick tick",
		},
		"nobody misses refused, timed-out and self-sufficient messages": {
			options: JoinerOptions{MaxMessages: 1},
			story:   "1 refused k, 2 timeout l, 3 enroute+ m, 4 submit n",
			got:     "submit submit enroute@0/bulk/FR submit",
		},
		"receipts that wait are bounded": {
			options: JoinerOptions{MaxEarly: 2, MaxMessages: 1000}, // few enough for one shard
			story:   "1 delivered l, 2 delivered m, 3 delivered n, 4 submit m, 5 submit n, 6 submit l",
			got:     "early early unmatched early submit delivered!@4/otp/GB submit delivered!@5/otp/GB submit",
		},
		"a clock that goes back changes nothing": {
			story: "100 submit m, 1 delivered n, 30 delivered m, 130 tick, 140 submit n",
			got:   "submit early delivered!@100/otp/GB tick submit delivered!@140/otp/GB",
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJoiner(t, c.options)
			var got []string
			for _, o := range read(c.story) {
				j.Join(&o, func(o *route.Observation) { got = append(got, write(o)) })
			}
			if s := strings.Join(got, " "); s != c.got {
				t.Errorf("got  %s\nwant %s", s, c.got)
			}
		})
	}
}

func TestJoinerCounts(t *testing.T) {
	j := newJoiner(t, JoinerOptions{MaxMessages: 3, MaxEarly: 1})
	for _, o := range read("1 submit a, 1 submit a, 2 submit b, 3 submit c, 4 submit d, 5 delivered d, 6 failed d, 7 delivered x, 8 delivered y") {
		j.Join(&o, func(*route.Observation) {})
	}
	want := JoinerStats{Remembered: 3, Open: 2, Early: 1, Evicted: 1, Duplicates: 1, Unmatched: 1, Contradictions: 1}
	if got := j.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestJoinerKeepsNoMessageOfWhatWaits(t *testing.T) {
	j := newJoiner(t, JoinerOptions{})
	id := []byte("m")
	early := route.Observation{Kind: route.KindReceipt, Status: route.StatusDelivered, Time: noon, Route: "a", Message: alias(id)}
	j.Join(&early, func(o *route.Observation) {
		if o.Kind != route.KindEarly {
			t.Errorf("got %+v, want only that it waits", o)
		}
	})
	id[0] = 'x' // as the decoder's buffer will
	got := 0
	submit := route.Observation{Kind: route.KindSubmit, Time: noon, Route: "a", Message: "m"}
	j.Join(&submit, func(o *route.Observation) {
		if o.Kind == route.KindReceipt && (!o.Final || o.Message != "") {
			t.Errorf("got %+v", o)
		}
		got++
	})
	if got != 2 {
		t.Errorf("got %d observations, want the submit and its receipt", got)
	}
}

func TestJoinerRefusesNegativeBounds(t *testing.T) {
	if _, err := NewJoiner(JoinerOptions{MaxAge: -1}); err == nil {
		t.Error("got no error")
	}
}

// life is all that is told of n messages, each with at most one final status, some without any submit of their own.
func life(t *rapid.T, n int) (list []route.Observation) {
	for i := range n {
		id := fmt.Sprint("m", i)
		at := noon.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
		key := route.Observation{Route: "a", Class: "otp", Network: "GB", Message: id, Time: at}
		all := rapid.Bool().Draw(t, "carries all")
		if !all || rapid.Bool().Draw(t, "submit") {
			o := key
			o.Kind = route.KindSubmit
			list = append(list, o)
		}
		for _, s := range rapid.SliceOfN(rapid.SampledFrom([]route.Status{route.StatusUnknown, route.StatusEnroute, route.StatusAccepted}), 0, 3).Draw(t, "states") {
			list = append(list, told(key, route.KindReceipt, s, all))
		}
		if rapid.Bool().Draw(t, "final") {
			list = append(list, told(key, route.KindReceipt, route.StatusDelivered+route.Status(i%4), all))
		}
		if rapid.Bool().Draw(t, "converted") {
			list = append(list, told(key, route.KindConversion, 0, all))
		}
	}
	return list
}

func told(o route.Observation, kind route.Kind, s route.Status, all bool) route.Observation {
	o.Kind, o.Status, o.Submitted = kind, s, o.Time
	o.Time = o.Time.Add(5 * time.Second)
	if !all {
		o.Class, o.Network, o.Submitted = "", "", time.Time{}
	}
	return o
}

// counted is what counts of a stream: submits, final states and conversions, with their keys and submit times.
func counted(j *Joiner, list []route.Observation) (finals []string) {
	for _, o := range list {
		j.Join(&o, func(o *route.Observation) {
			switch {
			case o.Kind == route.KindSubmit:
				finals = append(finals, "submit "+o.Time.Format(time.RFC3339Nano))
			case o.Kind == route.KindReceipt && o.Final, o.Kind == route.KindConversion:
				finals = append(finals, fmt.Sprint(o.Kind, o.Status, o.Key(), o.Submitted.Format(time.RFC3339Nano)))
			case o.Kind == route.KindLost, o.Kind == route.KindUnmatched:
				finals = append(finals, fmt.Sprint("missed ", o.Kind))
			}
		})
	}
	slices.Sort(finals)
	return finals
}

func TestJoinerCountsTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := life(t, rapid.IntRange(1, 30).Draw(t, "messages"))
		want := counted(newRapidJoiner(t), list)
		again := append(slices.Clone(list), rapid.SliceOf(rapid.SampledFrom(append(list, route.Observation{Kind: route.KindHeartbeat, Time: noon}))).Draw(t, "again")...)
		shuffled := rapid.Permutation(again).Draw(t, "order")
		if got := counted(newRapidJoiner(t), shuffled); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func newRapidJoiner(t *rapid.T) *Joiner {
	j, err := NewJoiner(JoinerOptions{MaxMessages: rapid.SampledFrom([]int{0, 1000}).Draw(t, "max")})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// Every accepted message ends in exactly one way, with any bounds: with a final status, lost, or still open.
func TestJoinerLosesNothingInSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, _ := NewJoiner(JoinerOptions{
			MaxMessages: rapid.IntRange(1, 20).Draw(t, "max"), MaxEarly: rapid.IntRange(1, 5).Draw(t, "early"),
			MaxAge: time.Duration(rapid.IntRange(1, 30).Draw(t, "age")) * time.Second, HoldEarly: 5 * time.Second,
		})
		list := rapid.Permutation(life(t, 40)).Draw(t, "order")
		in, out := 0, map[route.Kind]int{}
		accepted, finals := 0, 0
		for _, o := range list {
			in++
			j.Join(&o, func(o *route.Observation) {
				out[o.Kind]++
				if o.Kind == route.KindSubmit {
					accepted++
				}
				if o.Kind == route.KindReceipt && o.Final {
					finals++
				}
			})
		}
		s := j.Stats()
		emitted := 0
		for kind, n := range out {
			if kind != route.KindLost && kind != route.KindEarly {
				emitted += n
			}
		}
		if in != emitted+s.Early {
			t.Fatalf("got %d observations out of %d, %d waiting", emitted, in, s.Early)
		}
		if lost := uint64(out[route.KindLost]); lost != s.Evicted || uint64(out[route.KindDuplicate]) != s.Duplicates || uint64(out[route.KindUnmatched]) != s.Unmatched {
			t.Fatalf("got %v, but counted %+v", out, s)
		}
		if open := accepted - out[route.KindLost]; s.Open > open || s.Open < open-finals {
			t.Fatalf("got %d open of %d accepted, %d lost, %d final", s.Open, accepted, out[route.KindLost], finals)
		}
	})
}

// The index and the ring against a map, over growth, wrap-around of the numbers, and removal in order.
func TestIndexAgreesWithAMap(t *testing.T) {
	r, x, model := ring{}, index{}, map[uint64]uint32{}
	r.first, r.next = 1<<32-chunkLen*3, 1<<32-chunkLen*3
	rnd := rand.New(rand.NewSource(1))
	for step := range 200_000 {
		h := uint64(rnd.Intn(4000))<<32*0x9e3779b97f4a7c15 + uint64(step%3) // many share their tag
		seq, ok := x.find(h, &r)
		if want, has := model[h]; ok != has || ok && seq != want {
			t.Fatalf("step %d: got %d %v, want %d %v", step, seq, ok, want, has)
		}
		if !ok {
			if seq = r.push(entry{hash: h}); r.at(seq).hash != h {
				t.Fatalf("step %d: entry %d is not where it was put", step, seq)
			}
			x.insert(h, seq)
			model[h] = seq
		}
		for r.len() > 100+step%3000 {
			h := r.at(r.first).hash
			x.remove(h, r.first)
			delete(model, h)
			r.pop()
		}
		if x.n != len(model) || r.len() != len(model) {
			t.Fatalf("step %d: got %d in the index, %d in the ring, want %d", step, x.n, r.len(), len(model))
		}
	}
}

func TestKeysAreForgottenWithTheirMessages(t *testing.T) {
	j := newJoiner(t, JoinerOptions{MaxMessages: 10})
	for i := range 1000 {
		o := route.Observation{Kind: route.KindSubmit, Time: noon, Route: "a", Class: route.Class(fmt.Sprint("c", i)), Network: "GB", Message: fmt.Sprint(i)}
		j.Join(&o, func(*route.Observation) {})
	}
	if k := j.shards[0].keys; len(k.numbers) != 10 || len(k.uses) > 11 {
		t.Errorf("got %d keys in %d places, want those of 10 messages", len(k.numbers), len(k.uses))
	}
}

func TestJoinerInParallel(t *testing.T) {
	j := newJoiner(t, JoinerOptions{})
	var wg sync.WaitGroup
	finals := make([]int, 8)
	for w := range finals {
		wg.Go(func() {
			for i := range 2000 {
				for _, kind := range []route.Kind{route.KindReceipt, route.KindSubmit} { // everyone tells of the same messages
					o := route.Observation{Kind: kind, Time: noon.Add(time.Duration(i) * time.Millisecond), Route: "a", Class: "otp",
						Network: "GB", Message: fmt.Sprint(i), Status: route.StatusDelivered}
					j.Join(&o, func(o *route.Observation) {
						if o.Final {
							finals[w]++
						}
					})
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range finals {
		sum += n
	}
	if s := j.Stats(); sum != 2000 || s.Remembered != 2000 || s.Open != 0 || s.Early != 0 {
		t.Errorf("got %d finals, %+v; want 2000, each once", sum, s)
	}
}

func TestJoinerKnowsWhatSendersToldOf(t *testing.T) {
	j, err := NewJoiner(JoinerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	receipt := func(id string, submitted time.Time) *route.Observation {
		return &route.Observation{Kind: route.KindReceipt, Time: at, Route: "acme", Message: id, Status: route.StatusDelivered, Submitted: submitted}
	}
	j.Join(&route.Observation{Kind: route.KindSubmit, Time: at, Route: "acme", Class: "otp", Network: "GB", Message: "m-1", Result: route.Accepted}, func(*route.Observation) {})
	j.Join(receipt("early", time.Time{}), func(*route.Observation) {})
	other := receipt("m-1", time.Time{})
	other.Route = "bolt"
	for name, c := range map[string]struct {
		o    *route.Observation
		want bool
	}{
		"its submit was told":             {receipt("m-1", time.Time{}), true},
		"another route's":                 {other, false},
		"nobody told of it":               {receipt("m-2", time.Time{}), false},
		"a receipt of it alone":           {receipt("early", time.Time{}), false},
		"it says when it was handed over": {receipt("m-3", at), true},
	} {
		if got := j.Knows(c.o); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
