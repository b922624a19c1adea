package decide

import (
	"cmp"

	"signalbox/rules/route"
)

// order puts an operator's order in force, between two rounds.
func (s *story) order(o route.Override) route.Decision {
	s.t.Helper()
	d, err := s.tryOrder(o, false)
	if err != nil {
		s.t.Fatalf("order %+v: %v", o, err)
	}
	return d
}

func (s *story) tryOrder(o route.Override, force bool) (route.Decision, error) {
	s.t.Helper()
	o.Class, o.Network = cmp.Or(o.Class, "otp"), cmp.Or(o.Network, "GB")
	o.Actor, o.Reason = cmp.Or(o.Actor, "ann"), cmp.Or(o.Reason, "maintenance")
	before := encode(s.world)
	out, err := Override(s.policy, s.world, o, s.now, force)
	if after := encode(s.world); after != before {
		s.t.Fatalf("an order changed the world given:\nwas %s\nis  %s", before, after)
	}
	if err != nil {
		return route.Decision{}, err
	}
	s.take(out)
	return only(s.t, out.Decisions), nil
}

// ends takes an order back.
func (s *story) ends(id string) route.Decision {
	s.t.Helper()
	out, err := EndOverride(s.policy, s.world, id, "bob", "", s.now)
	if err != nil {
		s.t.Fatalf("end %s: %v", id, err)
	}
	s.take(out)
	return only(s.t, out.Decisions)
}

// reply answers a proposal on the signals of the last round.
func (s *story) reply(a Reply) (Outcome, error) {
	s.t.Helper()
	a.Actor = cmp.Or(a.Actor, "ann")
	before := encode(s.world)
	out, err := Answer(s.policy, s.world, Seen{Signals: s.last.Signals, Wide: s.last.Wide}, a, s.now)
	if after := encode(s.world); after != before {
		s.t.Fatalf("an answer changed the world given:\nwas %s\nis  %s", before, after)
	}
	if err == nil {
		s.take(out)
	}
	return out, err
}
