package sender

import (
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"
)

// published are the vectors as the file has them; examples/senders/README.md describes it.
type published struct {
	Tables map[string]json.RawMessage `json:"tables"`
	Picks  []struct {
		Table      string
		Class      string
		Network    string
		Key        string
		Slot       int
		Lane       *struct{ Class, Network string }
		Route      string
		Fallbacks  []string
		RetryAfter Duration `json:"retry_after"`
	} `json:"picks"`
	Keys    map[string]string `json:"keys"`
	Answers []struct {
		Name, Have, Body, Signature, Want string
		Keys                              []string
	} `json:"answers"`
	Countries map[string]string `json:"countries"`
}

func readVectors(t *testing.T) (v published) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Picks) < 100 || len(v.Answers) < 20 || len(v.Countries) < 200 {
		t.Fatalf("got %d picks, %d answers, %d countries: the vectors are not whole", len(v.Picks), len(v.Answers), len(v.Countries))
	}
	return v
}

func TestPicksAreThePublishedOnes(t *testing.T) {
	v := readVectors(t)
	tables := map[string]*Table{}
	for name, text := range v.Tables {
		table, err := ReadTable(text)
		if err != nil {
			t.Fatal(err)
		}
		tables[name] = table
	}
	for _, p := range v.Picks {
		got, err := tables[p.Table].Pick(p.Class, p.Network, p.Key)
		if slot := Slot(p.Key); slot != p.Slot {
			t.Errorf("slot of %q: got %d, want %d", p.Key, slot, p.Slot)
		}
		if p.Lane == nil {
			if err == nil {
				t.Errorf("%s %s/%s: got %+v, want no lane", p.Table, p.Class, p.Network, got)
			}
			continue
		}
		if err != nil || got.Class != p.Lane.Class || got.Network != p.Lane.Network || got.Route != p.Route ||
			!slices.Equal(got.Fallbacks, p.Fallbacks) || got.RetryAfter != time.Duration(p.RetryAfter) || got.Generation != tables[p.Table].Generation {
			t.Errorf("%s %s/%s %q: got %+v (%v), want %+v", p.Table, p.Class, p.Network, p.Key, got, err, p)
		}
	}
}

func TestAnswersAreTakenAsPublished(t *testing.T) {
	v := readVectors(t)
	for _, a := range v.Answers {
		t.Run(a.Name, func(t *testing.T) {
			c := newClient(t, Options{})
			for _, name := range a.Keys {
				keys, err := ReadKeys([]byte(v.Keys[name]))
				if err != nil {
					t.Fatal(err)
				}
				c.o.Keys = append(c.o.Keys, keys...)
			}
			if a.Have != "" {
				have, err := ReadTable([]byte(tableText(a.Have)))
				if err != nil {
					t.Fatal(err)
				}
				c.table.Store(have)
			}
			before := c.Table()
			taken, err := c.take(t.Context(), &answer{[]byte(a.Body), a.Signature})
			got := "same"
			if err != nil {
				got = "refused"
			} else if taken {
				got = "taken"
			}
			if got != a.Want || (c.Table() != before) != taken {
				t.Errorf("got %s (%v), want %s", got, err, a.Want)
			}
		})
	}
}

func TestCountriesAreThePublishedOnes(t *testing.T) {
	for network, want := range readVectors(t).Countries {
		if got := Country(network); got != want {
			t.Errorf("%s: got %q, want %q", network, got, want)
		}
	}
	for _, none := range []string{"", "*", "gb", "GBR", "234", "23415", "234-1", "234-1234", "abc-15", "23x-15", "234-15x"} {
		if got := Country(none); got != "" {
			t.Errorf("%q: got %q, want none", none, got)
		}
	}
}

func TestDurationsOfTables(t *testing.T) {
	for text, want := range map[string]time.Duration{"0s": 0, "20s": 20 * time.Second, "1m30s": 90 * time.Second, "1d12h": 36 * time.Hour, "1s500ms": 1500 * time.Millisecond, "7us": 7000} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: got %s (%v), want %s", text, time.Duration(d), err, want)
		}
	}
	for _, bad := range []string{"20", "s", "-1s", "1.5s", "20 s", "1y", "99999999999999999999s"} {
		var d Duration
		if err := d.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: got %s, want an error", bad, time.Duration(d))
		}
	}
}

func TestPickSaysWhatItCannotDo(t *testing.T) {
	c := newClient(t, Options{})
	if _, err := c.Pick("otp", "GB", "m-1"); err == nil || err.Error() != "pick: no table yet" {
		t.Errorf("no table: got %v", err)
	}
	if _, err := c.take(t.Context(), &answer{plain: []byte(tableText("1-1"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pick("otp", "GB", ""); err == nil || err.Error() != "pick: want a key such as the message's id, got none" {
		t.Errorf("no key: got %v", err)
	}
	if _, err := c.Pick("bulk", "GB", "m-1"); err == nil || err.Error() != "pick bulk/GB: no lane serves it" {
		t.Errorf("no lane: got %v", err)
	}
}

// tableText is a table of a generation.
func tableText(generation string) string {
	return `{"generation":"` + generation + `","published_at":"2026-11-23T10:00:00Z","policy":"p","lanes":[{"class":"otp","network":"*","mode":"act","retry_after":"20s","routes":[` +
		`{"route":"acme","share":10000,"phase":"active"},{"route":"bolt","share":0,"phase":"active"}]}]}`
}

// newClient is a client that has whatever it needs and the options do not say.
func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Name == "" {
		o.Name = "gw-1"
	}
	if o.Servers == nil {
		o.Servers = []string{"http://one.example"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadOptions(t *testing.T) {
	server := []string{"http://127.0.0.1:9465"}
	for want, o := range map[string]Options{
		`new sender: name: want letters, digits and . _ : @ - only, at most 128, got "a b"`:  {Name: "a b", Servers: server},
		`new sender: servers: want a URL such as http://127.0.0.1:9465, got none`:            {Name: "a"},
		`new sender: servers[1]: want a URL such as http://127.0.0.1:9465, got another text`: {Name: "a", Servers: append(server, "localhost:9465")},
		`new sender: want Token or TokenFile, got both`:                                      {Name: "a", Servers: server, Token: "x", TokenFile: "y"},
		`new sender: wait: want 1s to 1m, got 2m0s`:                                          {Name: "a", Servers: server, Wait: 2 * time.Minute},
		`new sender: want Interval, MaxBackoff and SpoolBytes of 0 or more`:                  {Name: "a", Servers: server, SpoolBytes: -1},
		`new sender: keys[0]: want 32 bytes, got 3`:                                          {Name: "a", Servers: server, Keys: []ed25519.PublicKey{{1, 2, 3}}},
	} {
		if _, err := New(o); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for name, file := range map[string]string{"nothing": "", "another": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if keys, err := ReadKeys([]byte(file)); err == nil {
			t.Errorf("keys from %s: got %v, want an error", name, keys)
		}
	}
}
