package state

import (
	"slices"
	"time"

	"signalbox/rules/route"
)

// How a sender stands.
const (
	senderCurrent = "current" // it runs the generation in force
	senderBehind  = "behind"  // it runs another one, or has told of none
	senderRefused = "refused" // it refused the generation in force
	senderSilent  = "silent"  // it was not heard of for silentSender
)

const (
	// graceSender is how long a sender may take to the generation in force before it lags.
	graceSender = 2 * time.Minute
	// silentSender is how long nothing may be heard of a sender before it counts as gone.
	silentSender = time.Hour
)

// turnsKept is how many tables of late are remembered, so that a sender that stays with an old one is behind since the
// next one came, however many came after that.
const turnsKept = 256

// turn is when a table was published.
type turn struct {
	generation route.Generation
	at         time.Time
}

// turned remembers the table that is about to be in force. The lock publishing is held.
func (m *Model) turned(t *route.Table) {
	var kept []turn
	if was := m.turns.Load(); was != nil {
		kept = *was
	}
	kept = append(slices.Clone(kept[max(0, len(kept)-turnsKept+1):]), turn{t.Generation, t.PublishedAt})
	m.turns.Store(&kept)
}

// left is when the first table came that is newer than a generation; where none is, when the last one came.
func left(turns []turn, g route.Generation) (at time.Time) {
	for _, t := range turns {
		if at = t.at; t.generation.Newer(g) {
			return at
		}
	}
	return at
}

// Standings returns all senders, by name, with how each stands at the moment now.
func (m *Model) Standings(now time.Time) []Sender {
	p := m.Table()
	var turns []turn
	if p != nil {
		turns = *m.turns.Load() // at least p's, which was remembered before it came into force
	}
	rows := m.senders()
	out := make([]Sender, len(rows))
	for i, r := range rows {
		out[i] = r.stands(p, turns, now)
	}
	return out
}

// Lagging returns the senders, by name, that refused the generation in force, or have run an older one for more than two
// minutes after the next one was published. Those that were not heard of for an hour are not among them, nor are any before the
// first table. Within two minutes of when a sender was first heard of it lags only by a refusal: it may have just begun.
func (m *Model) Lagging(now time.Time) (out []Sender) {
	for _, s := range m.Standings(now) {
		if s.Standing == senderRefused || s.Standing == senderBehind && s.Behind > graceSender.Seconds() {
			out = append(out, s)
		}
	}
	return out
}

// stands tells how a sender stands beside the table in force; nil is none.
func (r *senderRow) stands(p *Published, turns []turn, now time.Time) Sender {
	s := r.Said
	if p == nil {
		s.Standing = senderCurrent
		return s
	}
	runs := !s.RunsSince.IsZero() && s.Runs == p.Table.Generation
	refused := !s.Applied && s.Generation == p.Table.Generation
	if !runs || refused {
		s.Behind = max(0, now.Sub(later(left(turns, s.Runs), r.First)).Seconds())
	}
	switch {
	case now.Sub(s.Seen) > silentSender:
		s.Standing = senderSilent
	case refused:
		s.Standing = senderRefused
	case !runs:
		s.Standing = senderBehind
	default:
		s.Standing = senderCurrent
	}
	return s
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
