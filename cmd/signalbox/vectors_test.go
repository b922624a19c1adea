package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"signalbox/controller/api"
	"signalbox/controller/sender"
	"signalbox/controller/state"
	"signalbox/rules/route"
)

const vectorsFile = root + "/controller/sender/testdata/vectors.json"

// vectors are what every client of the table has to do alike, in every language. examples/senders/README.md describes
// the file.
type vectors struct {
	Tables    map[string]*route.Table  `json:"tables"`
	Picks     []pickVector             `json:"picks"`
	Keys      map[string]string        `json:"keys"` // public, in PEM
	Answers   []answerVector           `json:"answers"`
	Countries map[string]route.Network `json:"countries"` // by MCC-MNC; "" has none
}

// pickVector is a message, and the route that it gets; without a lane it gets none.
type pickVector struct {
	Table      string         `json:"table"`
	Class      route.Class    `json:"class"`
	Network    route.Network  `json:"network"`
	Key        string         `json:"key"`
	Slot       int            `json:"slot"`
	Lane       *route.Lane    `json:"lane"`
	Route      route.ID       `json:"route,omitempty"`
	Fallbacks  []route.ID     `json:"fallbacks"`
	RetryAfter route.Duration `json:"retry_after"`
}

// answerVector is what a server answers to a sender that runs Have, and what becomes of it: taken, same or refused.
type answerVector struct {
	Name      string   `json:"name"`
	Have      string   `json:"have"` // "" has no table
	Keys      []string `json:"keys"` // that the sender knows
	Body      string   `json:"body"`
	Signature string   `json:"signature"`
	Want      string   `json:"want"`
}

// TestVectors holds the published vectors to what the server itself says; -update writes them anew.
func TestVectors(t *testing.T) {
	v := vectors{Tables: map[string]*route.Table{"wide": wideTable(), "narrow": narrowTable()}, Keys: map[string]string{}, Countries: map[string]route.Network{}}
	for _, name := range []string{"narrow", "wide"} {
		v.Picks = append(v.Picks, picksOf(t, name, v.Tables[name])...)
	}
	for mcc := range 1000 {
		n := route.Network(fmt.Sprintf("%03d-01", mcc))
		if n.Country() != "" || mcc%100 == 1 {
			v.Countries[string(n)] = n.Country()
		}
	}
	v.Keys["one"], v.Keys["two"] = publicPEM(t, testKey("one")), publicPEM(t, testKey("two"))
	v.Answers = answerVectors(t)
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(vectorsFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the server says (%v); go test ./cmd/signalbox -run TestVectors -update writes it anew", vectorsFile, err)
	}
	checkAnswers(t, v.Answers)
}

func laneOf(class, network string, retry time.Duration, entries ...route.Entry) route.LaneTable {
	return route.LaneTable{Class: route.Class(class), Network: route.Network(network), Mode: route.Act, RetryAfter: route.Duration(retry), Routes: entries}
}

func entryOf(id string, share int, phase route.Phase, admin route.Admin) route.Entry {
	return route.Entry{Route: route.ID(id), Share: share, Phase: phase, Admin: admin}
}

// wideTable has a lane for every step of the search, and entries of every kind.
func wideTable() *route.Table {
	return &route.Table{Generation: route.Generation{Epoch: 1, Number: 42}, PublishedAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Policy: "git:3f2a91c", Lanes: []route.LaneTable{
		laneOf("otp", "234-15", 20*time.Second, entryOf("acme", 6000, route.Active, ""), entryOf("bolt", 4000, route.Active, ""), entryOf("core", 0, route.Active, "")),
		laneOf("otp", "GB", 20*time.Second, entryOf("bolt", 9700, route.Active, ""), entryOf("acme", 300, route.Demoted, "")),
		laneOf("otp", "*", 90*time.Second, entryOf("core", 0, route.Active, ""), entryOf("dent", 2500, route.Active, route.AdminPinned), entryOf("elan", 0, route.Active, route.AdminDrained),
			entryOf("acme", 7500, route.Active, ""), entryOf("fish", 0, route.Demoted, route.AdminPinned), entryOf("gull", 0, route.Demoted, route.AdminUnregistered), entryOf("hare", 0, route.Demoted, "")),
		laneOf("otp", "901-01", 1500*time.Millisecond, entryOf("core", 10000, route.Active, "")),
		laneOf("bulk", "GB", 0, entryOf("acme", 0, route.Recovering, ""), entryOf("bolt", 1, route.Active, ""), entryOf("core", 9999, route.Active, "")),
		laneOf("*", "DE", 36*time.Hour, entryOf("acme", 3333, route.Active, ""), entryOf("bolt", 3333, route.Recovering, ""), entryOf("core", 3334, route.Active, "")),
		laneOf("*", "262-02", 20*time.Second, entryOf("dent", 10000, route.Demoted, "")),
		laneOf("*", "*", 20*time.Second, entryOf("acme", 5000, route.Active, ""), entryOf("bolt", 5000, route.Active, "")),
	}}
}

// narrowTable serves little.
func narrowTable() *route.Table {
	return &route.Table{Generation: route.Generation{Epoch: 2, Number: 1}, PublishedAt: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC), Policy: "sha256:0123456789ab", Lanes: []route.LaneTable{
		laneOf("otp", "FR", 10*time.Second, entryOf("élan", 9999, route.Active, ""), entryOf("bolt", 1, route.Active, "")),
	}}
}

// picksOf asks the server about messages of every kind.
func picksOf(t *testing.T, name string, table *route.Table) (all []pickVector) {
	t.Helper()
	model := state.New()
	p, err := state.Encode(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Publish(p); err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Options{Tables: model})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"m-1", "m-2", "m-3", "m-23", "ключ", "a b&c=d", "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", "📨"}
	for _, class := range []string{"otp", "bulk", "transactional", "*"} {
		for i, network := range []string{"234-15", "234-10", "235-091", "GB", "262-02", "262-01", "DE", "208-01", "901-01", "901-18", "*"} {
			for j := range 3 {
				all = append(all, askPick(t, h, name, class, network, keys[(i+3*j+len(class))%len(keys)]))
			}
		}
	}
	return all
}

func askPick(t *testing.T, h http.Handler, table, class, network, key string) pickVector {
	t.Helper()
	v := pickVector{Table: table, Class: route.Class(class), Network: route.Network(network), Key: key, Slot: route.Slot(key), Fallbacks: []route.ID{}}
	query := url.Values{"class": {class}, "network": {network}, "key": {key}}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/routes/lookup?"+query.Encode(), nil))
	if rec.Code == http.StatusNotFound {
		return v
	}
	var l lookup
	if err := json.Unmarshal(rec.Body.Bytes(), &l); err != nil || rec.Code != http.StatusOK || len(l.Order) == 0 || l.Order[0] != l.Route {
		t.Fatalf("lookup %s: got %d %s (%v)", query.Encode(), rec.Code, rec.Body, err)
	}
	v.Lane, v.Route, v.Fallbacks, v.RetryAfter = &l.Lane, l.Route, append(v.Fallbacks, l.Order[1:]...), l.RetryAfter
	return v
}

// testKey is a key that everybody knows.
func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("signalbox test vectors, key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicPEM(t *testing.T, k ed25519.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privatePEM(t *testing.T, k ed25519.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// signedBy is the header that a server with these keys sends.
func signedBy(t *testing.T, body string, names ...string) string {
	t.Helper()
	file := ""
	for _, name := range names {
		file += privatePEM(t, testKey(name))
	}
	keys, err := api.ReadKeys([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return keys.Sign([]byte(body))
}

func answerVectors(t *testing.T) []answerVector {
	t.Helper()
	table := func(generation string) string {
		return `{"generation":"` + generation + `","published_at":"2026-11-23T10:00:00Z","policy":"git:3f2a91c","lanes":[{"class":"otp","network":"*","mode":"act","retry_after":"20s","routes":[{"route":"acme <é>","share":10000,"phase":"active"}]}]}`
	}
	empty := `{"generation":"1-43","published_at":"2026-11-23T10:00:00Z","policy":"git:3f2a91c","lanes":[]}`
	short := `{"generation":"1-43","published_at":"2026-11-23T10:00:00Z","policy":"git:3f2a91c","lanes":[{"class":"otp","network":"*","mode":"act","retry_after":"20s","routes":[{"route":"acme","share":9999,"phase":"active"}]}]}`
	noRoutes := `{"generation":"1-43","published_at":"2026-11-23T10:00:00Z","policy":"git:3f2a91c","lanes":[{"class":"otp","network":"*","mode":"act","retry_after":"20s","routes":[]}]}`
	next := table("1-43")
	one, two := []string{"one"}, []string{"two"}
	none := []string{}
	return []answerVector{
		{"the first table", "", none, table("1-1"), "", "taken"},
		{"the next one", "1-42", none, next, "", "taken"},
		{"one that skips some", "1-9", none, table("1-10"), "", "taken"},
		{"the same one", "1-42", none, table("1-42"), "", "same"},
		{"an older one", "1-42", none, table("1-41"), "", "refused"},
		{"an older one with more digits", "1-10", none, table("1-9"), "", "refused"},
		{"a greater epoch", "1-42", none, table("2-1"), "", "taken"},
		{"a smaller epoch", "2-1", none, table("1-99"), "", "refused"},
		{"without lanes", "1-42", none, empty, "", "refused"},
		{"without lanes at the start", "", none, empty, "", "refused"},
		{"a lane without routes", "1-42", none, noRoutes, "", "refused"},
		{"shares that do not sum up", "1-42", none, short, "", "refused"},
		{"cut off", "1-42", none, next[:len(next)-9], "", "refused"},
		{"no table at all", "1-42", none, "<html>502</html>", "", "refused"},
		{"an empty body", "1-42", none, "", "", "refused"},
		{"no generation that can be read", "1-42", none, table("x"), "", "refused"},
		{"signed, by a key that is known", "1-42", one, next, signedBy(t, next, "one"), "taken"},
		{"signed, nobody looks", "1-42", none, next, signedBy(t, next, "one"), "taken"},
		{"signed by two, the second is known", "1-42", two, next, signedBy(t, next, "one", "two"), "taken"},
		{"signed by the second of two that are known", "1-42", []string{"one", "two"}, next, signedBy(t, next, "two"), "taken"},
		{"not signed", "1-42", one, next, "", "refused"},
		{"signed by a key that is not known", "1-42", one, next, signedBy(t, next, "two"), "refused"},
		{"the signature of another table", "1-42", one, next, signedBy(t, table("1-44"), "one"), "refused"},
		{"a signature that is none", "1-42", one, next, "ed25519;keyid=0000000000000000;sig=AAAA", "refused"},
		{"the signature cut off", "1-42", one, next, signedBy(t, next, "one")[:60], "refused"},
		{"rubbish for a signature", "1-42", one, next, ";;,=", "refused"},
		{"signed, but older", "1-44", one, next, signedBy(t, next, "one"), "refused"},
		{"signed, but empty", "1-42", one, empty, signedBy(t, empty, "one"), "refused"},
	}
}

// checkAnswers: whoever wrote the vectors by hand agrees with the server about which generation is newer.
func checkAnswers(t *testing.T, all []answerVector) {
	t.Helper()
	for _, a := range all {
		var table route.Table
		if a.Have == "" || json.Unmarshal([]byte(a.Body), &table) != nil {
			continue
		}
		have, err := route.ParseGeneration(a.Have)
		if err != nil {
			t.Fatal(err)
		}
		if newer := table.Generation.Newer(have); a.Want == "taken" && !newer || a.Want == "same" && table.Generation != have {
			t.Errorf("%s: want %s, newer %t", a.Name, a.Want, newer)
		}
	}
}

// TestSendersKnowEveryCountry holds the client's own list of country codes to the server's.
func TestSendersKnowEveryCountry(t *testing.T) {
	for mcc := range 1000 {
		n := fmt.Sprintf("%03d-01", mcc)
		if got, want := sender.Country(n), string(route.Network(n).Country()); got != want {
			t.Errorf("%s: got %q, want %q", n, got, want)
		}
	}
}
