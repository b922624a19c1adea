package main

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/controller/store"
	"signalbox/rules/route"
)

// costs are what decisions say that the changes cost which they ended.
func costs(t *testing.T, ds []route.Decision) (text string, n int) {
	t.Helper()
	for i := range ds {
		b, err := json.Marshal(ds[i].Cost)
		if err != nil {
			t.Fatal(err)
		}
		if text += ds[i].ID + " " + string(b) + "\n"; ds[i].Cost != nil {
			n++
		}
	}
	return text, n
}

// TestAReplayOfTheRecordingSaysWhatTheDaemonSaidOfCosts runs a daemon over an incident and starts it anew in the middle.
func TestAReplayOfTheRecordingSaysWhatTheDaemonSaidOfCosts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []route.Decision
	synctest.Test(t, func(t *testing.T) {
		s := start(t, dir)
		g := &gateway{random: rand.New(rand.NewPCG(1, 2)), began: time.Now()}
		stops := []time.Duration{2 * time.Minute, 6*time.Minute + 40*time.Second, 8 * time.Minute}
		for ; time.Since(g.began) < 14*time.Minute; time.Sleep(250 * time.Millisecond) {
			if lines := g.next(); lines != "" {
				s.post(lines)
			}
			if len(stops) > 0 && time.Since(g.began) >= stops[0] {
				stops = stops[1:]
				synctest.Wait()
				s.end()
				s = start(t, dir)
			}
		}
		found, _, err := s.store.Decisions(store.Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(found)
		want = found
		s.end()
	})
	got, _ := replayRecording(t, recordedPolicy, filepath.Join(dir, "recording"))
	told, _ := costs(t, got)
	if said, n := costs(t, want); told != said || n < 2 {
		t.Errorf("got\n%swant at least two costs:\n%s", told, said)
	}
}
