package state

import "time"

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

// Standings returns all senders, by name, with how each stands at the moment now.
func (m *Model) Standings(now time.Time) []Sender {
	p := m.Table()
	rows := m.senders()
	out := make([]Sender, len(rows))
	for i, r := range rows {
		out[i] = r.stands(p, now)
	}
	return out
}

// Lagging returns the senders, by name, that refused the generation in force, or have run another one for more than two
// minutes after it was published. Those that were not heard of for an hour are not among them, nor are any before the
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
func (r *senderRow) stands(p *Published, now time.Time) Sender {
	s := r.Said
	if p == nil {
		s.Standing = senderCurrent
		return s
	}
	runs := !s.RunsSince.IsZero() && s.Runs == p.Table.Generation
	refused := !s.Applied && s.Generation == p.Table.Generation
	if !runs || refused {
		s.Behind = max(0, now.Sub(later(p.Table.PublishedAt, r.First)).Seconds())
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
