package route

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurations(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		back string
	}{
		{"0", 0, "0s"}, {"0s", 0, "0s"}, {"30s", 30 * time.Second, "30s"}, {"90s", 90 * time.Second, "1m30s"}, {"1h30m", 90 * time.Minute, "1h30m"},
		{"250ms", 250 * time.Millisecond, "250ms"}, {"7d", 7 * 24 * time.Hour, "7d"}, {"1d1ns", 24*time.Hour + 1, "1d1ns"}, {"1s1s", 2 * time.Second, "2s"},
		{"5us", 5 * time.Microsecond, "5us"}, {"36500d", 36500 * 24 * time.Hour, "36500d"},
	} {
		d, err := ParseDuration(c.text)
		if err != nil || d.D() != c.want || d.String() != c.back {
			t.Errorf("%q: got %v (%s), %v; want %v (%s)", c.text, d.D(), d, err, c.want, c.back)
		}
	}
	for _, s := range []string{"", "s", "30", "-5s", "1.5s", "30 s", "30seconds", "30S", "1h 30m", "99999999999d", "9223372036854775808ns", "36501d", strings.Repeat("1s", 20), "１s", "1μs"} {
		if d, err := ParseDuration(s); err == nil || d != 0 {
			t.Errorf("%q: got %v, want an error", s, d)
		}
	}
	if got := Duration(-90 * time.Second).String(); got != "-1m30s" {
		t.Errorf("a negative duration: got %s", got)
	}
}

func TestDurationsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, int64(maxDuration)).Draw(t, "d"))
		text, _ := d.MarshalText()
		var back Duration
		if err := back.UnmarshalText(text); err != nil || back != d {
			t.Fatalf("%s: got %s, %v", text, back, err)
		}
	})
}

func TestGenerations(t *testing.T) {
	for _, s := range []string{"", "1", "-", "1-", "-1", "1-2-3", "+1-2", "1--2", "a-b", "18446744073709551616-1", " 1-2", "1-2 "} {
		if g, err := ParseGeneration(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, g)
		}
	}
	for _, c := range []struct {
		a, b  string
		newer bool
	}{
		{"1-42", "1-41", true}, {"1-42", "1-42", false}, {"1-41", "1-42", false}, {"2-1", "1-999", true}, {"1-999", "2-1", false}, {"1-10", "1-9", true},
	} {
		a, _ := ParseGeneration(c.a)
		b, _ := ParseGeneration(c.b)
		if got := a.Newer(b); got != c.newer {
			t.Errorf("%s newer than %s: got %v", a, b, got)
		}
	}
}

func TestGenerationsRoundTripAndGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Generation{rapid.Uint64().Draw(t, "epoch"), rapid.Uint64Range(0, math.MaxUint64-1).Draw(t, "number")}
		data, _ := json.Marshal(g)
		var back Generation
		if err := json.Unmarshal(data, &back); err != nil || back != g {
			t.Fatalf("%s: got %s, %v", data, back, err)
		}
		if !g.Next().Newer(g) || g.Newer(g.Next()) {
			t.Fatalf("%s does not precede %s", g, g.Next())
		}
	})
}

func TestPrices(t *testing.T) {
	for _, s := range []string{"0.0312 EUR", "0.0330 EUR", "1 USD", "0 GBP", "0.10 EUR", "123456789.000000001 JPY"} {
		p, err := ParsePrice(s)
		if err != nil || p.String() != s || !p.Known() {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "0.03", "0.03EUR", "EUR 0.03", "-0.03 EUR", "0.03 eur", "0.03 EURO", "0.03  EUR", "NaN EUR", "Inf EUR", "0,03 EUR", "0.03 €", "0.03 12$", "1e9 EUR", "1e999999999 EUR", "+1 EUR", "1.2.3 EUR", ". EUR", strings.Repeat("9", 33) + " EUR"} {
		if p, err := ParsePrice(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, p)
		}
	}
	if (Price{}).Known() || (Price{}).String() != "" {
		t.Error("the zero price is known")
	}
}

func TestPricesAreDecimal(t *testing.T) {
	tenth, _ := ParsePrice("0.1 EUR")
	fifth, _ := ParsePrice("0.2 EUR")
	third, _ := ParsePrice("0.3 EUR")
	if sum := tenth.Amount.Add(fifth.Amount); !sum.Equal(third.Amount) {
		t.Errorf("0.1 + 0.2: got %s", sum)
	}
}

func TestPriceChange(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"0.0312 EUR", "0.0330 EUR", "+5.8%"}, {"0.0330 EUR", "0.0312 EUR", "-5.5%"}, {"0.03 EUR", "0.03 EUR", "+0.0%"}, {"0.02 EUR", "0.03 EUR", "+50.0%"},
		{"1000 EUR", "999.999 EUR", "+0.0%"}, // rounded to nothing
		{"0.03 EUR", "0.03 USD", ""}, {"0 EUR", "0.03 EUR", ""}, {"", "0.03 EUR", ""}, {"0.03 EUR", "", ""},
	} {
		var from, to Price
		if err := from.UnmarshalText([]byte(c.from)); err != nil {
			t.Fatal(err)
		}
		if err := to.UnmarshalText([]byte(c.to)); err != nil {
			t.Fatal(err)
		}
		if got := from.Change(to); got != c.want && strings.TrimPrefix(got, "-") != strings.TrimPrefix(c.want, "+") {
			t.Errorf("%s to %s: got %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

func TestPricesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`(0|[1-9][0-9]{0,5})(\.[0-9]{1,8})? (EUR|USD|GBP)`).Draw(t, "price")
		p, err := ParsePrice(s)
		if err != nil || p.String() != s {
			t.Fatalf("%q: got %q, %v", s, p, err)
		}
		data, _ := json.Marshal(p)
		var back Price
		if err := json.Unmarshal(data, &back); err != nil || back.String() != s {
			t.Fatalf("%s: got %q, %v", data, back, err)
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"1h30m", "0.0312 EUR", "1-42", "", "1e9 EUR", "delivered"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil {
			if back, err := ParseDuration(d.String()); err != nil || back != d || d < 0 {
				t.Fatalf("%q: got %s, then %s, %v", s, d, back, err)
			}
		}
		if p, err := ParsePrice(s); err == nil {
			if back, err := ParsePrice(p.String()); err != nil || !back.Amount.Equal(p.Amount) {
				t.Fatalf("%q: got %s, then %s, %v", s, p, back, err)
			}
		}
		if g, err := ParseGeneration(s); err == nil {
			if back, err := ParseGeneration(g.String()); err != nil || back != g {
				t.Fatalf("%q: got %s, then %s, %v", s, g, back, err)
			}
		}
		if st, ok := ParseStatus(s); ok && st.String() != s {
			t.Fatalf("%q: got %s", s, st)
		}
	})
}

func TestStatuses(t *testing.T) {
	final := map[Status]bool{StatusDelivered: true, StatusFailed: true, StatusExpired: true, StatusRejected: true}
	for s := StatusUnknown; s <= StatusRejected; s++ {
		back, ok := ParseStatus(s.String())
		if !ok || back != s || s.Final() != final[s] {
			t.Errorf("%s: got %s, %v, final %v", s, back, ok, s.Final())
		}
	}
	if _, ok := ParseStatus("DELIVRD"); ok {
		t.Error("a word of SMPP is taken")
	}
}
