package state

import (
	"cmp"
	"sync"

	"signalbox/rules/route"
)

// News is one thing that those who follow are told. It is an alias, as Published is.
type News = struct {
	ID       string // of the decision, or the generation of the table
	Kind     string // generation, decision, or proposal for a decision that waits for a person
	Decision *route.Decision
}

// The kinds of news.
const (
	newsGeneration = "generation"
	newsDecision   = "decision"
	newsProposal   = "proposal"
)

// keptNews is how many news are kept for those who come back after a while.
const keptNews = 1024

// feed keeps the latest news, and wakes those who wait for more.
type feed struct {
	mu   sync.Mutex // guards the others
	news []item     // oldest first
	more chan struct{}
}

type item struct {
	place
	News
}

// place orders news: a table comes before the decisions that are numbered after it.
type place struct {
	generation route.Generation
	ordinal    uint64
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.generation.Epoch, q.generation.Epoch), cmp.Compare(p.generation.Number, q.generation.Number), cmp.Compare(p.ordinal, q.ordinal))
}

// placeOf reads where news with an id stand; false where it is no id of theirs.
func placeOf(id string) (p place, ok bool) {
	g, ordinal, err := route.ParseDecisionID(id)
	if err == nil {
		return place{g, ordinal}, true
	}
	g, err = route.ParseGeneration(id)
	return place{generation: g}, err == nil
}

// add adds news that come after all that are there; others are known already.
func (f *feed) add(all ...News) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range all {
		p, ok := placeOf(n.ID)
		if !ok || len(f.news) > 0 && p.compare(f.news[len(f.news)-1].place) <= 0 {
			continue
		}
		f.news = append(f.news, item{p, n})
	}
	if over := len(f.news) - keptNews; over > 0 {
		f.news = append([]item(nil), f.news[over:]...)
	}
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// Tell tells those who follow of decisions, in the order in which they were made. They must not change afterwards.
func (m *Model) Tell(decisions []route.Decision) {
	news := make([]News, len(decisions))
	for i := range decisions {
		news[i] = News{ID: decisions[i].ID, Kind: newsDecision, Decision: &decisions[i]}
		if decisions[i].Reason == route.Proposed {
			news[i].Kind = newsProposal
		}
	}
	m.feed.add(news...)
}

// Follow returns the news that came after those with the id, oldest first, and a channel that is closed when there are
// more. Missed is whether others may have come in between: the id is not among those that are kept.
func (m *Model) Follow(after string) (news []News, missed bool, more <-chan struct{}) {
	f := &m.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == nil {
		f.more = make(chan struct{})
	}
	p, ok := placeOf(after)
	held := false
	for i := range f.news {
		switch order := f.news[i].compare(p); {
		case order == 0:
			held = true
		case order > 0 && ok:
			news = append(news, f.news[i].News)
		}
	}
	return news, !held, f.more
}

// Latest is the id of the latest news; "" where there are none.
func (m *Model) Latest() string {
	m.feed.mu.Lock()
	defer m.feed.mu.Unlock()
	if n := len(m.feed.news); n > 0 {
		return m.feed.news[n-1].ID
	}
	return ""
}
