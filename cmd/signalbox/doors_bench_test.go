package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"signalbox/controller/access"
	"signalbox/controller/api"
	"signalbox/controller/state"
	"signalbox/rules/route"
)

// nowhere takes an answer and keeps nothing of it.
type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header         { return n.h }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// BenchmarkTableBehindDoors asks for a table that has not changed: of an open signalbox, with a token, with a user's
// password, and with a token of nobody.
func BenchmarkTableBehindDoors(b *testing.B) {
	dir := b.TempDir()
	m := mint("gw-1", "sender", "", 0, time.Now())
	hashed, err := bcrypt.GenerateFromPassword([]byte("anns password"), bcrypt.DefaultCost)
	if err != nil {
		b.Fatal(err)
	}
	tokens, web := filepath.Join(dir, "tokens.yml"), filepath.Join(dir, "web.yml")
	if err := os.WriteFile(tokens, []byte("tokens: ["+m.Line+"]\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(web, []byte("basic_auth_users: {ann: '"+string(hashed)+"'}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	keeper, err := access.New(access.Options{Tokens: tokens, WebConfig: web, Now: func() time.Time {
		now = now.Add(time.Second) // so that nobody is too fast
		return now
	}})
	if err != nil {
		b.Fatal(err)
	}
	for name, tc := range map[string]struct {
		doors api.Doors
		ask   func(r *http.Request)
	}{
		"open":   {nil, func(*http.Request) {}},
		"token":  {keeper, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+m.Token) }},
		"user":   {keeper, func(r *http.Request) { r.SetBasicAuth("ann", "anns password") }},
		"nobody": {keeper, func(r *http.Request) { r.Header.Set("Authorization", "Bearer sbx_nobody") }},
	} {
		b.Run(name, func(b *testing.B) {
			model := state.New()
			g := route.Generation{Epoch: 1, Number: 42}
			if err := model.Publish(&state.Published{Table: &route.Table{Generation: g, Lanes: []route.LaneTable{{Class: "otp", Network: "GB", Routes: []route.Entry{{Route: "acme", Share: 10000, Phase: route.Active}}}}}, Plain: []byte("{}")}); err != nil {
				b.Fatal(err)
			}
			h, err := api.New(api.Options{Tables: model, Doors: tc.doors})
			if err != nil {
				b.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/routes", nil)
			r.Header.Set("If-None-Match", fmt.Sprintf("%q", g))
			tc.ask(r)
			w := &nowhere{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				h.ServeHTTP(w, r)
			}
		})
	}
}
