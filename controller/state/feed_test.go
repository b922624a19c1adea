package state

import (
	"fmt"
	"sync"
	"testing"

	"signalbox/rules/route"
)

func told(ids ...string) []route.Decision {
	out := make([]route.Decision, len(ids))
	for i, id := range ids {
		out[i] = route.Decision{ID: id}
	}
	return out
}

func idsOf(news []News) (ids []string) {
	for _, n := range news {
		ids = append(ids, n.ID)
	}
	return ids
}

func TestThoseWhoFollowGetWhatCameAfter(t *testing.T) {
	m := New()
	m.Tell(told("1-42-1", "1-42-2"))
	publish(t, m, 43)
	m.Tell(told("1-43-1"))
	m.Tell([]route.Decision{{ID: "1-43-2", Reason: route.Proposed}})
	if got := m.Latest(); got != "1-43-2" {
		t.Errorf("latest: got %s", got)
	}
	for after, want := range map[string]string{"1-42-1": "[1-42-2 1-43 1-43-1 1-43-2] false", "1-43": "[1-43-1 1-43-2] false", "1-43-2": "[] false",
		"1-41-9": "[1-42-1 1-42-2 1-43 1-43-1 1-43-2] true", "1-43-9": "[] true", "2-1": "[] true", "nonsense": "[] true", "": "[] true"} {
		news, missed, more := m.Follow(after)
		if got := fmt.Sprintf("%v %v", idsOf(news), missed); got != want || more == nil {
			t.Errorf("after %q: got %s, want %s", after, got, want)
		}
	}
	news, _, _ := m.Follow("1-42-2")
	if news[0].Kind != newsGeneration || news[0].Decision != nil || news[1].Kind != newsDecision || news[2].Kind != newsProposal || news[2].Decision.ID != "1-43-2" {
		t.Errorf("got %+v", news)
	}
}

func TestNewsThatAreNotNewAreNotTold(t *testing.T) {
	m := New()
	m.Tell(told("1-42-2"))
	m.Tell(told("1-42-1", "1-42-2", "not an id", "1-42-3"))
	if news, missed, _ := m.Follow("1-42-2"); missed || fmt.Sprint(idsOf(news)) != "[1-42-3]" {
		t.Errorf("got %v, %v", idsOf(news), missed)
	}
}

func TestNewsAreBounded(t *testing.T) {
	m := New()
	for i := range 3 * keptNews {
		m.Tell(told(fmt.Sprintf("1-1-%d", i+1)))
	}
	if news, missed, _ := m.Follow("1-1-5"); !missed || len(news) != keptNews {
		t.Errorf("got %d, missed %v, want %d and that others were missed", len(news), missed, keptNews)
	}
}

func TestThoseWhoWaitAreWoken(t *testing.T) {
	m := New()
	var waiting sync.WaitGroup
	for range 50 {
		_, _, more := m.Follow("1-1-1")
		waiting.Go(func() { <-more })
	}
	m.Tell(told("1-1-2"))
	waiting.Wait()
}
