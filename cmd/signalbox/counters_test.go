package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/probes/promql"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// countingGateway is a gateway that counts what it sends, and no more: a server that speaks the Prometheus API.
type countingGateway struct {
	chance *rand.Rand
	rate   float64 // messages a second
	lost   float64 // share of them that a sick carrier swallows
	now    time.Time
	due    map[int64][]string // receipts on their way, by second
	total  map[string]float64
}

func (g *countingGateway) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // the test asks what can be read
	query, value := r.Form.Get("query"), 0.0
	name := strings.TrimSuffix(strings.TrimPrefix(query, "timestamp("), ")")
	value = g.total[strings.TrimSuffix(strings.TrimPrefix(name, "signalbox:route_"), ":total")]
	if strings.HasPrefix(query, "timestamp(") {
		value = float64(g.now.Unix())
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": []any{
		map[string]any{"metric": map[string]string{"__name__": name, "route": "acme", "class": "otp", "network": "GB"}, "value": []any{float64(g.now.Unix()), fmt.Sprint(value)}}}}})
}

// pass lets a second pass.
func (g *countingGateway) pass() {
	second := g.now.Unix()
	for _, counter := range g.due[second] {
		g.total[counter]++
	}
	delete(g.due, second)
	n := int(g.rate)
	if g.chance.Float64() < g.rate-float64(n) {
		n++
	}
	n = max(0, n+int(math.Round(math.Sqrt(g.rate)*g.chance.NormFloat64())))
	for range n {
		g.total["submitted"]++
		u := g.chance.Float64()
		if u >= 0.975 || g.chance.Float64() < g.lost {
			continue
		}
		counter := "delivered"
		if u >= 0.95 {
			counter = "failed"
		}
		delay := int64(4.5 * math.Exp(0.75*g.chance.NormFloat64()))
		if g.chance.Float64() < 0.1 {
			delay = int64(28 * math.Exp(0.9*g.chance.NormFloat64()))
		}
		g.due[second+1+delay] = append(g.due[second+1+delay], counter)
	}
	g.now = g.now.Add(time.Second)
}

// watchCounters lets a site be judged by its counters for some time, and returns the most evidence against its route.
func watchCounters(t *testing.T, g *countingGateway, c *promql.Collector, book *signal.Book, d time.Duration) (most float64, known int) {
	t.Helper()
	lane := route.Lane{Class: "otp", Network: "GB"}
	for range int(d / time.Second) {
		g.pass()
		if g.now.Unix()%15 == 0 {
			observations, err := c.Collect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range observations {
				book.Observe(&observations[i], g.now)
			}
		}
		if g.now.Unix()%5 == 0 {
			s := book.Judge(route.Scope{Lane: lane}, []route.Inquiry{{Route: "acme"}}, g.now)[0]
			if s.Delivery.Known {
				known++
				most = math.Max(most, s.Delivery.Evidence)
			}
		}
	}
	return most, known
}

// Counters alone tell a healthy route from one that swallows messages: half a day without an accusation, then two minutes.
func TestCountersTellABlackHole(t *testing.T) {
	for _, rate := range []float64{1, 10, 60} {
		t.Run(fmt.Sprint(rate, " a second"), func(t *testing.T) {
			t.Parallel()
			g := &countingGateway{chance: rand.New(rand.NewPCG(1, uint64(rate))), rate: rate, now: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), due: map[int64][]string{}, total: map[string]float64{}}
			server := httptest.NewServer(http.HandlerFunc(g.serve))
			t.Cleanup(server.Close)
			c, err := promql.New(promql.Options{Name: "mimir", URL: server.URL, Now: func() time.Time { return g.now }})
			if err != nil {
				t.Fatal(err)
			}
			book := signal.New(signal.Options{})
			book.SetLanes([]route.Lane{{Class: "otp", Network: "GB"}}, nil)
			most, known := watchCounters(t, g, c, book, 10*time.Hour) // it learns in the first
			if most >= 12 || known < 6000 {
				t.Errorf("healthy: got %.1f nats at most, known in %d of 7200 rounds; want below 12, and nearly all", most, known)
			}
			g.lost = 1
			if most, _ := watchCounters(t, g, c, book, 3*time.Minute); most < 12 {
				t.Errorf("a black hole: got %.1f nats in three minutes, want 12", most)
			}
		})
	}
}
