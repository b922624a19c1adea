package scenario

import (
	"math"
	"strconv"
	"time"

	"signalbox/rules/route"
)

// Stream is messages of one kind that somebody sends.
type Stream struct {
	Route   route.ID // "" follows the table in force; else the stream stays on that route, whatever the table says
	Class   route.Class
	Network route.Network // MCC-MNC of the messages
	Source  string        // the instance that sends them and reports; default "gw-1"
	Rate    float64       // messages a second; 0 ends the stream
	Diurnal float64       // how much the rate swings over the day, 0..1: up to Rate × (1 + Diurnal) at noon UTC
	Burst   Burst         // campaigns beside the steady rate
}

// Burst is campaigns: many messages in a short time. The zero Burst is none.
type Burst struct {
	Messages int           // of each campaign
	Over     time.Duration // in which they are handed over
	Every    time.Duration // how far campaigns lie apart, in the mean
	// Dead is the share of numbers on a dead list that do not exist: whichever route carries them, they fail.
	Dead float64
	// DeadLists is the share of campaigns, 0..1, that go to a dead list.
	DeadLists float64
	// Spread is how much campaigns differ in the share of their numbers that can be reached: the standard deviation, in
	// logits, of a campaign's own share from the route's.
	Spread float64
}

// DefaultSource is the instance that sends and reports where a stream names none.
const DefaultSource = "gw-1"

// id is what makes two calls of Send about the same stream.
func (st *Stream) id() string {
	return st.Source + "|" + string(st.Route) + "|" + string(st.Class) + "|" + string(st.Network)
}

// flow is a stream that flows.
type flow struct {
	Stream
	chance
	began   int    // how often it was sent anew: what was planned before is void
	count   uint64 // messages sent, for their keys
	carried map[route.ID]*carried
	slots   uint64
	lists   float64 // owed to steady dead lists
}

// carried is what steady chance owes the messages of a stream on one route.
type carried struct {
	fates       [2]owed // of numbers that exist, of dead ones
	converts    float64
	delay, late uint64
}

func (f *flow) on(id route.ID) *carried {
	c := f.carried[id]
	if c == nil {
		c = &carried{}
		f.carried[id] = c
	}
	return c
}

// message is one message of a stream.
type message struct {
	flow     *flow
	number   uint64
	campaign *campaign // nil where it belongs to none
}

// campaign is what the messages of one campaign have in common.
type campaign struct {
	dead  float64 // share of its numbers that do not exist
	owed  float64
	logit float64 // how much easier than usual its numbers are reached
}

// key is what senders pick a route by.
func (m *message) key() string { return m.flow.id() + "#" + strconv.FormatUint(m.number, 10) }

// slot is where the message falls among the shares of a table. Steady, a row of messages covers all slots evenly: 6181
// is near the golden section of 10000, and has no factor in common with it.
func (m *message) slot() int {
	if !m.flow.steady {
		return route.Slot(m.key())
	}
	m.flow.slots += 6181
	return int(m.flow.slots % route.FullShare)
}

// rate is the rate of a stream at a moment.
func (st *Stream) rate(at time.Time) float64 {
	if st.Diurnal == 0 {
		return st.Rate
	}
	day := at.Sub(at.Truncate(24*time.Hour)).Hours() / 24
	return st.Rate * (1 - st.Diurnal*math.Cos(2*math.Pi*day))
}

// next plans the next message of the steady rate.
func (s *Sim) plan(f *flow) {
	if !(f.Rate > 0) {
		return
	}
	top := f.Rate * (1 + f.Diurnal)
	if f.steady {
		top = math.Max(f.rate(s.now), f.Rate*0.01)
	}
	began := f.began
	s.after(seconds(f.wait(top)), func() {
		if f.began != began {
			return
		}
		if f.steady || f.Diurnal == 0 || f.unit(nil)*top < f.rate(s.now) {
			s.send(f, nil)
		}
		s.plan(f)
	})
}

// planCampaign plans the next campaign.
func (s *Sim) planCampaign(f *flow) {
	if f.Burst.Messages <= 0 || f.Burst.Every <= 0 {
		return
	}
	began := f.began
	s.after(seconds(f.wait(1/f.Burst.Every.Seconds())), func() {
		if f.began != began {
			return
		}
		c := &campaign{}
		if f.happens(f.Burst.DeadLists, &f.lists) {
			c.dead = f.Burst.Dead
		}
		if f.Burst.Spread > 0 && !f.steady {
			c.logit = f.Burst.Spread * normal(f.unit(nil))
		}
		s.burst(f, c, f.Burst.Messages)
		s.planCampaign(f)
	})
}

// burst sends what is left of a campaign, evenly over its time.
func (s *Sim) burst(f *flow, c *campaign, left int) {
	s.send(f, c)
	if left > 1 {
		s.after(f.Burst.Over/time.Duration(f.Burst.Messages), func() { s.burst(f, c, left-1) })
	}
}

// treated is a route's health towards a campaign.
func (c *campaign) treated(h Health) Health {
	if c == nil || c.logit == 0 || h.Delivered <= 0 || h.Delivered >= 1 {
		return h
	}
	reached := 1 / (1 + math.Exp(-math.Log(h.Delivered/(1-h.Delivered))-c.logit))
	reached = math.Min(reached, 1-h.Failed*(1-reached)/(1-h.Delivered))
	h.Failed = math.Max(0, math.Min(1-reached, h.Failed+h.Delivered-reached))
	h.Delivered = reached
	return h
}
