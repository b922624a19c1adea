package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

func envf(n string, d float64) float64 {
	if v, err := strconv.ParseFloat(os.Getenv(n), 64); err == nil {
		return v
	}
	return d
}

func TestScratch(t *testing.T) {
	if os.Getenv("SCRATCH") == "" {
		t.Skip()
	}
	rate, rm, rs, cm, cs := envf("RATE", 20), envf("RM", 4), envf("RS", .5), envf("CM", 15), envf("CS", .5)
	incAt, incFor, phase := envf("INC", 20), envf("FOR", 55), envf("PHASE", 0)
	p, err := loadPolicy("../../examples/quickstart/policy")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(envf("SEEDS", 1)) {
		r := rand.New(rand.NewPCG(seed, 7))
		ln := func(m, s float64) float64 { return m * math.Exp(s*r.NormFloat64()) }
		b := &route.Baseline{Delivered: .95, Failed: .03, Conversion: .8, Messages: 5000}
		var conv []float64
		for range 20000 {
			conv = append(conv, ln(rm, rs)+ln(cm, cs))
		}
		sort.Float64s(conv)
		for a := 1.0; a < 200; a *= 1.15 {
			b.Ages = append(b.Ages, a)
			b.CDF = append(b.CDF, .5*math.Erfc(-math.Log(a/rm)/rs/math.Sqrt2))
			b.ConversionCDF = append(b.ConversionCDF, float64(sort.SearchFloat64s(conv, a))/20000)
		}
		e := &scenario.Engine{Book: signal.New(signal.Options{}), Mode: route.Act}
		e.Use(p)
		t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(phase*1e9))
		at := func(s float64) time.Time { return t0.Add(time.Duration(s * 1e9)) }
		e.Keep(e.Adopt(p, t0))
		type ev struct {
			at float64
			o  route.Observation
		}
		var q []ev
		add := func(s float64, o route.Observation) {
			o.Time, o.Source = at(s), "demo"
			i := sort.Search(len(q), func(i int) bool { return q[i].at > s })
			q = append(q, ev{})
			copy(q[i+1:], q[i:])
			q[i] = ev{s, o}
		}
		for _, id := range []route.ID{"acme", "bolt", "core"} {
			add(0, route.Observation{Kind: route.KindBaseline, Route: id, Class: "otp", Network: "234-15", Baseline: b})
		}
		for s := 0.; s < 300; s += 5 {
			add(s+1, route.Observation{Kind: route.KindHeartbeat, Routes: []route.ID{"acme", "bolt", "core"}})
		}
		next, n := 0.5, 0
		tick := 5 - math.Mod(phase, 5) + .25
		var line string
		for now := 0.; now < 260; now += .05 {
			for next < now {
				n++
				lt := &e.Table.Lanes[0]
				id := lt.Routes[max(0, lt.Pick(fmt.Sprint(seed, n)))].Route
				k := route.Observation{Route: id, Class: "otp", Network: "234-15"}
				o := k
				o.Kind = route.KindSubmit
				add(next, o)
				u := r.Float64()
				if !(id == "acme" && next > incAt && next < incAt+incFor) && u < .98 {
					ra := ln(rm, rs)
					o := k
					o.Kind, o.Final, o.Submitted, o.Status = route.KindReceipt, true, at(next), route.StatusFailed
					if u < .95 {
						o.Status = route.StatusDelivered
					}
					add(next+ra, o)
					if u < .95 && r.Float64() < .8 {
						o.Kind, o.Status, o.Final = route.KindConversion, 0, false
						add(next+ra+ln(cm, cs), o)
					}
				}
				next += r.ExpFloat64() / rate
			}
			for len(q) > 0 && q[0].at < now-.1 {
				e.Book.Observe(&q[0].o, at(now))
				q = q[1:]
			}
			if now >= tick {
				tick += 5
				out := e.Round(at(now), false)
				e.Keep(out)
				s := out.Signals[0]
				if seed == 0 {
					fmt.Printf("%5.1f ev %5.1f msg %5.1f del %5.1f  conv2nd %6.1f  rec %5.1f  bolt ev %4.1f %s\n", now, s.Delivery.Evidence, s.Delivery.Messages, s.Delivery.Delivered, s.Second.Conversion, s.Delivery.Recovered, out.Signals[1].Delivery.Evidence, s.Delivery.Cause)
				}
				for _, d := range out.Decisions {
					if seed == 0 {
						fmt.Printf("      %s %s>%s %s enforced=%v %s\n", d.Route, d.From, d.To, d.Reason, d.Enforced, d.Text)
					}
					line += fmt.Sprintf(" %.0f:%s:%s>%s", now, d.Reason, d.Route, d.To)
				}
			}
		}
		fmt.Println(seed, line)
	}
}
