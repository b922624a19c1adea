package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/controller/api"
	"signalbox/controller/recording"
	"signalbox/controller/store"
	"signalbox/rules/policy"
	"signalbox/rules/scenario"
)

// newPlanner is a planner of the incident, with its recording, and the files of its policy.
func newPlanner(t *testing.T) (*planner, []policy.File) {
	t.Helper()
	files, err := readPolicy("testdata/policy")
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	journal, err := store.Open(store.Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	s, err := tellIncident(p, journal, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "recording")
	r, err := recording.New(recording.Options{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	err = incidentTo(r)
	cancel()
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	return &planner{control: past{s}, recording: folder, within: planWithin}, files
}

func planOf(t *testing.T, p *planner, files []policy.File) *planAnswer {
	t.Helper()
	a, err := p.Plan(t.Context(), files, incidentBegins)
	if err != nil {
		t.Fatal(err)
	}
	return a.(*planAnswer)
}

func TestThePolicyInForcePlansNothing(t *testing.T) {
	p, files := newPlanner(t)
	a := planOf(t, p, files)
	if a.changes() || a.Recording == nil || a.Recording.Messages == 0 || len(a.Recording.Alarms) == 0 || len(a.Said) > 0 {
		t.Errorf("got %+v", a)
	}
}

func TestOnePlanAtATimeReadsTheRecording(t *testing.T) {
	p, files := newPlanner(t)
	p.reading.Lock()
	if _, err := p.Plan(t.Context(), files, incidentBegins); !errors.Is(err, api.ErrBusy) {
		t.Errorf("got %v, want that it is busy", err)
	}
	p.reading.Unlock()
	planOf(t, p, files)
}

func TestAPlanThatTakesTooLongSaysHowFarItGot(t *testing.T) {
	p, files := newPlanner(t)
	p.within = time.Nanosecond
	a := planOf(t, p, files)
	if a.Recording == nil || len(a.Said) != 1 || !strings.Contains(a.Said[0], "a later --since reads less") {
		t.Errorf("got %+v, said %q", a.Recording, a.Said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.within = planWithin
	if _, err := p.Plan(ctx, files, incidentBegins); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for somebody who went away", err)
	}
}

func TestARecordingThatHasNothingYet(t *testing.T) {
	p, files := newPlanner(t)
	p.recording = filepath.Join(t.TempDir(), "none")
	if err := os.Mkdir(p.recording, 0o700); err != nil {
		t.Fatal(err)
	}
	if a := planOf(t, p, files); a.Recording != nil || a.RecordingWhy != "nothing has been recorded yet" {
		t.Errorf("got %+v, %q", a.Recording, a.RecordingWhy)
	}
	p.recording = ""
	if a := planOf(t, p, files); a.Recording != nil || !strings.HasPrefix(a.RecordingWhy, "nothing is recorded") {
		t.Errorf("got %+v, %q", a.Recording, a.RecordingWhy)
	}
}

func TestALongAnswerIsShortened(t *testing.T) {
	a := &planAnswer{Recording: &scenario.Comparison{Moves: make([]scenario.Differing, mostTold+2), Stretches: make([]scenario.Stretch, mostTold+1)}}
	a.shorten()
	if len(a.Recording.Moves) != mostTold || len(a.Recording.Stretches) != mostTold || len(a.Said) != 2 || !strings.HasPrefix(a.Said[0], "2 changes more differ") {
		t.Errorf("got %d moves, %d stretches, said %q", len(a.Recording.Moves), len(a.Recording.Stretches), a.Said)
	}
}
