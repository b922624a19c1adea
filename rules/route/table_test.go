package route

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// Slots as any SHA-256 computes them: the first eight bytes, big endian, modulo 10000.
func TestSlotVectors(t *testing.T) {
	for key, want := range map[string]int{"": 1652, "a": 2250, "+447700900123": 8557, "message-1": 900, "ключ": 7024} {
		if got := Slot(key); got != want {
			t.Errorf("slot of %q: got %d, want %d", key, got, want)
		}
	}
}

func lane(shares ...int) *LaneTable {
	l := &LaneTable{Class: "otp", Network: "GB"}
	for i, s := range shares {
		l.Routes = append(l.Routes, Entry{Route: ID(fmt.Sprintf("r%d", i)), Share: s})
	}
	return l
}

func TestPick(t *testing.T) {
	slot := Slot("a")
	for _, c := range []struct {
		claim string
		lane  *LaneTable
		want  int
	}{
		{"one route takes all", lane(FullShare), 0},
		{"a standby takes none", lane(0, FullShare), 1},
		{"the share ends before its slot", lane(slot, FullShare-slot), 1},
		{"the share ends after its slot", lane(slot+1, FullShare-slot-1), 0},
		{"shares that do not reach", lane(slot), -1},
		{"no routes", lane(), -1},
	} {
		if got := c.lane.Pick("a"); got != c.want {
			t.Errorf("%s: got %d, want %d", c.claim, got, c.want)
		}
	}
}

func TestPickFollowsShares(t *testing.T) {
	l, got := lane(6000, 0, 3900, 100), [4]int{}
	const n = 50000
	for i := range n {
		got[l.Pick(fmt.Sprint("message-", i))]++
	}
	for i, e := range l.Routes {
		p := float64(e.Share) / FullShare
		if d := float64(got[i]) - n*p; math.Abs(d) > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("route %d of share %d: got %d of %d", i, e.Share, got[i], n)
		}
	}
}

// A key keeps its route where its slot stays below the running sum: moving share between two routes moves no other key.
func TestPickIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.IntRange(0, FullShare).Draw(t, "a")
		b := rapid.IntRange(0, FullShare-a).Draw(t, "b")
		moved := rapid.IntRange(0, b).Draw(t, "moved")
		key := rapid.String().Draw(t, "key")
		before := lane(a, b, FullShare-a-b).Pick(key)
		after := lane(a, b-moved, FullShare-a-b+moved).Pick(key)
		if before != after && !(before == 1 && after == 2) {
			t.Fatalf("got %d, then %d", before, after)
		}
		if l := lane(a, b, FullShare-a-b); l.Routes[before].Share == 0 {
			t.Fatalf("a route without share got %q", key)
		}
	})
}

func TestLookup(t *testing.T) {
	table := &Table{Lanes: []LaneTable{{Class: "*", Network: "*"}, {Class: "otp", Network: "GB"}}}
	if got := table.Lookup("otp", "234-15"); got != 1 {
		t.Errorf("got lane %d", got)
	}
	if got := table.Lookup("bulk", "234-15"); got != 0 {
		t.Errorf("got lane %d", got)
	}
	if got := (&Table{}).Lookup("otp", "GB"); got != -1 {
		t.Errorf("got lane %d of none", got)
	}
	if got := table.Lanes[1].Lane(); got != (Lane{"otp", "GB"}) || got.String() != "otp/GB" {
		t.Errorf("got %v", got)
	}
}

var moment = time.Date(2026, 11, 23, 10, 0, 0, 500, time.UTC)

// fill sets every exported field of a value to something that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(moment))
			return
		case reflect.TypeFor[decimal.Decimal]():
			v.Set(reflect.ValueOf(decimal.RequireFromString("-1.5")))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("s")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(31.25)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(8)
	case reflect.Interface:
		v.Set(reflect.ValueOf(12.5))
	default:
		panic("no value for " + v.Type().String())
	}
}

// roundTrip is v through JSON and back.
func roundTrip[T any](t *testing.T, v T) (T, string) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return back, string(data)
}

func outlivesJSON[T any](t *testing.T) {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	if back, data := roundTrip(t, v); !reflect.DeepEqual(back, v) {
		t.Errorf("%T: got %+v of %s, want %+v", v, back, data, v)
	}
}

func TestValuesOutliveJSON(t *testing.T) {
	outlivesJSON[World](t)
	outlivesJSON[Table](t)
	outlivesJSON[Decision](t)
	outlivesJSON[Baseline](t)
}

// A state that has never changed is short, and its absent moments stay zero.
func TestAQuietStateIsShort(t *testing.T) {
	back, data := roundTrip(t, State{Route: "a", Phase: Active})
	if data != `{"route":"a","phase":"active"}` || !back.Since.IsZero() || back.Hold != nil {
		t.Errorf("got %s, %+v", data, back)
	}
	if _, data := roundTrip(t, Decision{}); !strings.Contains(data, `"actor":null`) || !strings.Contains(data, `"generation":"0-0"`) {
		t.Errorf("got %s", data)
	}
}

func TestStateIsFoundByName(t *testing.T) {
	w := World{Lanes: []LaneState{{Lane: Lane{"otp", "GB"}, Routes: []State{{Route: "a"}, {Route: "b"}}}}}
	l := w.Lane(Lane{"otp", "GB"})
	if l == nil || l.State("b") != &w.Lanes[0].Routes[1] {
		t.Fatal("the state is not the world's own")
	}
	if l.State("c") != nil || w.Lane(Lane{"otp", "FR"}) != nil {
		t.Error("found what is not there")
	}
}
