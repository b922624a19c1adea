//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"signalbox/rules/route"
)

// It takes about four minutes: the whole story in real time, by the program that people run.
func TestDemoTellsTheWholeStory(t *testing.T) {
	program := filepath.Join(t.TempDir(), "signalbox")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, program, "demo", "--exit", "--output", "json", "--data", filepath.Join(t.TempDir(), "data"))
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("demo: %v\n%s\n%s", err, &stderr, out)
	}
	d := readDemo(t, out)
	demoted, promoted := d.decisions["demoted"], d.decisions["promoted"]
	if demoted.Route != "acme" || demoted.Rule != "receipts-collapse" || !demoted.Enforced || demoted.Text == "" {
		t.Errorf("demotion: got %+v, want acme by receipts-collapse", demoted)
	}
	if promoted.Route != "acme" || promoted.To != route.Active {
		t.Errorf("promotion: got %+v, want acme", promoted)
	}
	if len(d.shares) < 2 || d.shares[0]["acme"] < 0.99 || d.lowest["acme"] > 0.2 || d.lowest["bolt"] > 0.01 {
		t.Errorf("traffic: got shares %v, want all by acme, then nearly none", d.shares)
	}
	if last := d.shares[len(d.shares)-1]; last["acme"] < 0.99 {
		t.Errorf("traffic in the end: got %v, want all by acme again", last)
	}
	if len(demoted.Guards) == 0 { // they answer within the round today, so no event tells of one that holds
		t.Error("demotion: got no guards, want the answer of each")
	}
	if d.events["summary"] != 1 || d.events["table"] < 5 {
		t.Errorf("got events %v, want one summary and at least 5 tables", d.events)
	}
}

// demoRun is what a run of the demo told.
type demoRun struct {
	events    map[string]int
	decisions map[string]route.Decision // by event, the last one
	shares    []map[route.ID]float64    // of the traffic, in the order told
	lowest    map[route.ID]float64      // over all that was told
}

func readDemo(t *testing.T, out []byte) *demoRun {
	t.Helper()
	d := &demoRun{events: map[string]int{}, decisions: map[string]route.Decision{}, lowest: map[route.ID]float64{}}
	for line := range bytes.Lines(out) {
		var e struct {
			Event string          `json:"event"`
			Text  string          `json:"text"`
			Data  json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		t.Log(e.Event, e.Text)
		d.events[e.Event]++
		switch e.Event {
		case "demoted", "promoted", "ramp":
			var decision route.Decision
			if err := json.Unmarshal(e.Data, &decision); err != nil {
				t.Fatal(err)
			}
			d.decisions[e.Event] = decision
		case "traffic":
			var traffic struct {
				Accepted map[route.ID]float64 `json:"accepted"`
			}
			if err := json.Unmarshal(e.Data, &traffic); err != nil {
				t.Fatal(err)
			}
			d.add(traffic.Accepted)
		}
	}
	return d
}

func (d *demoRun) add(accepted map[route.ID]float64) {
	total := 0.0
	for _, n := range accepted {
		total += n
	}
	shares := map[route.ID]float64{}
	for id, n := range accepted {
		shares[id] = n / total
		if low, told := d.lowest[id]; !told || shares[id] < low {
			d.lowest[id] = shares[id]
		}
	}
	d.shares = append(d.shares, shares)
}
