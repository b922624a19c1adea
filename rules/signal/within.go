package signal

import "signalbox/rules/route"

// within is the signal of the share that is delivered within what the class allows.
func (s *subject) within(w *route.Within, q route.Quality) {
	w.Quality = q
	if !q.Known {
		return
	}
	if cause := s.untimed(byClass); cause != "" {
		w.Quality = route.Quality{Cause: cause, Age: q.Age}
		return
	}
	rung := s.shownLate(&s.outside, byClass)
	p := &s.spans[rung].at[byClass]
	w.Ratio, w.Low, w.High = interval(min(p.early, p.sent), p.sent, p.sent)
	w.Baseline, w.Messages, w.Evidence = p.delivered/p.sent, p.sent, s.outside.evidence
	w.Limit, w.Since = route.Duration(s.limit(byClass)), timeOf(s.spans[rung].from)
}
