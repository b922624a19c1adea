package route

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseNetwork(t *testing.T) {
	for _, s := range []string{"*", "GB", "234-15", "310-410", "901-01", "XX"} {
		if n, err := ParseNetwork(s); err != nil || string(n) != s {
			t.Errorf("ParseNetwork(%q): got %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "gb", "G", "GBR", "23415", "234-1", "234-1234", "23-415", "234_15", "234-1a", "**", " GB", "GB ", "２３４-15", "234-15\x00", "-34-15", "ÄB", strings.Repeat("9", 1000)} {
		if n, err := ParseNetwork(s); err == nil || n != "" {
			t.Errorf("ParseNetwork(%q): got %q, want an error", s, n)
		} else if !strings.Contains(err.Error(), `want a network such as "234-15"`) {
			t.Errorf("ParseNetwork(%q): got %v", s, err)
		}
	}
}

func TestContainment(t *testing.T) {
	for _, c := range []struct {
		claim string
		n, m  Network
		want  bool
	}{
		{"everywhere holds an MCC-MNC", "*", "234-15", true},
		{"everywhere holds a country", "*", "GB", true},
		{"everywhere holds itself", "*", "*", true},
		{"a country holds its first MCC", "GB", "234-15", true},
		{"a country holds its second MCC", "GB", "235-01", true},
		{"a country holds itself", "GB", "GB", true},
		{"a country does not hold another", "GB", "FR", false},
		{"a country does not hold another's network", "GB", "208-01", false},
		{"a country does not hold everywhere", "GB", "*", false},
		{"a network does not hold its country", "234-15", "GB", false},
		{"a network does not hold a neighbour", "234-15", "234-10", false},
		{"two digits of MNC are not three", "310-41", "310-410", false},
		{"a network of no country lies in none", "GB", "901-01", false},
		{"a network of no country lies everywhere", "*", "901-01", true},
		{"an unknown MCC lies in no country", "XX", "999-01", false},
		{"junk holds nothing but itself", "gb", "234-15", false},
		{"nothing lies in the empty network", "", "GB", false},
	} {
		if got := c.n.Contains(c.m); got != c.want {
			t.Errorf("%s: got %v", c.claim, got)
		}
	}
}

func TestCountry(t *testing.T) {
	for n, want := range map[Network]Network{
		"234-15": "GB", "310-410": "US", "316-01": "US", "404-01": "IN", "262-01": "DE", "221-01": "XK", "440-10": "JP",
		"GB": "GB", "XX": "XX", "*": "", "901-01": "", "999-99": "", "": "", "junk": "", "234": "",
	} {
		if got := n.Country(); got != want {
			t.Errorf("country of %q: got %q, want %q", n, got, want)
		}
	}
}

func TestTableOfCountryCodesIsWellFormed(t *testing.T) {
	seen := map[string]string{}
	country := ""
	for _, f := range strings.Fields(mccTable) {
		if isCountry(f) {
			if f <= country {
				t.Errorf("%s stands after %s", f, country)
			}
			country = f
			continue
		}
		if len(f) != 3 || strings.Trim(f, "0123456789") != "" || f < "200" || f > "799" && f != "995" {
			t.Errorf("%s of %s is no MCC of a country", f, country)
		}
		if seen[f] != "" {
			t.Errorf("%s belongs to %s and %s", f, seen[f], country)
		}
		seen[f] = country
	}
	if len(seen) < 220 {
		t.Errorf("got %d codes", len(seen))
	}
}

func TestFind(t *testing.T) {
	lanes := []Lane{{"*", "*"}, {"otp", "*"}, {"*", "234-15"}, {"otp", "GB"}, {"otp", "234-15"}, {"*", "GB"}, {"otp", "GB"}}
	for _, c := range []struct {
		claim string
		class Class
		net   Network
		want  int
	}{
		{"the class and the MCC-MNC go first", "otp", "234-15", 4},
		{"then the class and the country, the first of two", "otp", "234-10", 3},
		{"then the class and everywhere", "otp", "208-01", 1},
		{"any class with the MCC-MNC", "bulk", "234-15", 2},
		{"any class with the country", "bulk", "235-01", 5},
		{"any class, anywhere", "bulk", "208-01", 0},
		{"a sender may ask for a country", "otp", "GB", 3},
		{"a network of no country", "otp", "901-01", 1},
	} {
		if got := Find(lanes, c.class, c.net); got != c.want {
			t.Errorf("%s: got lane %d, want %d", c.claim, got, c.want)
		}
	}
	if got := Find(lanes[3:5], "bulk", "234-15"); got != -1 {
		t.Errorf("a class without a lane: got %d", got)
	}
	if got := Find(nil, "otp", "GB"); got != -1 {
		t.Errorf("no lanes: got %d", got)
	}
}

func anyNetwork(t *rapid.T, label string) Network {
	return Network(rapid.OneOf(rapid.SampledFrom([]string{"*", "GB", "FR", "US", "234-15", "235-01", "208-01", "310-410", "901-01"}), rapid.StringMatching(`[A-Z]{2}|[0-9]{3}-[0-9]{2,3}`)).Draw(t, label))
}

func TestContainmentIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyNetwork(t, "a"), anyNetwork(t, "b"), anyNetwork(t, "c")
		if !a.Contains(a) || !AnyNetwork.Contains(a) {
			t.Fatalf("%q does not lie in itself or in everywhere", a)
		}
		if a.Contains(b) && b.Contains(a) && a != b {
			t.Fatalf("%q and %q hold each other", a, b)
		}
		if a.Contains(b) && b.Contains(c) && !a.Contains(c) {
			t.Fatalf("%q holds %q, which holds %q, but not that", a, b, c)
		}
		if a != b && a.Contains(b) && a.specificity() >= b.specificity() {
			t.Fatalf("%q holds %q and is no wider", a, b)
		}
	})
}

// Whatever lane is found serves the message, and no lane that serves it is closer.
func TestFindTakesTheClosest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom([]Class{"otp", "bulk", "*"})
		lanes := make([]Lane, rapid.IntRange(0, 8).Draw(t, "n"))
		for i := range lanes {
			lanes[i] = Lane{class.Draw(t, "class"), anyNetwork(t, "network")}
		}
		c, n := class.Draw(t, "asked class"), anyNetwork(t, "asked network")
		found := Find(lanes, c, n)
		for i, l := range lanes {
			switch {
			case !l.Matches(c, n):
				if i == found {
					t.Fatalf("lane %v does not serve %s %s", l, c, n)
				}
			case found < 0:
				t.Fatalf("lane %v serves %s %s and was not found", l, c, n)
			case l.Class == c && lanes[found].Class != c:
				t.Fatalf("lane %v has the class, found %v", l, lanes[found])
			case l.Class == lanes[found].Class && lanes[found].Network != l.Network && lanes[found].Network.Contains(l.Network):
				t.Fatalf("lane %v is closer than %v", l, lanes[found])
			}
		}
	})
}

func FuzzParseNetwork(f *testing.F) {
	for _, s := range []string{"*", "GB", "234-15", "", "234-", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNetwork(s)
		if err == nil && (string(n) != s || !AnyNetwork.Contains(n)) {
			t.Fatalf("got %q of %q", n, s)
		}
		Network(s).Country()
		Network(s).Contains("234-15")
	})
}
