package ledger

import (
	"cmp"
	"slices"
	"time"

	"signalbox/rules/route"
)

const secondsOfDay = 24 * 60 * 60

// dayOf is the UTC day of a moment, since 1970.
func dayOf(t time.Time) int32 {
	s := t.Unix()
	if s < 0 {
		return -1
	}
	return int32(s / secondsOfDay)
}

// Date is a UTC day in the form 2026-11-25.
type Date string

const dateForm = "2006-01-02"

func dateOf(day int32) Date {
	return Date(time.Unix(int64(day)*secondsOfDay, 0).UTC().Format(dateForm))
}

// day is the number of the date since 1970; false where it is none.
func (d Date) day() (int32, bool) {
	t, err := time.Parse(dateForm, string(d))
	return dayOf(t), err == nil
}

type dayKey struct {
	day  int32
	lane route.Lane
}

// Spent is what messages cost.
type Spent struct {
	Messages int64 `json:"messages"` // that a route accepted
	Spent    Purse `json:"spent"`    // by currency
	Unpriced int64 `json:"unpriced"` // of the messages, those whose route has no price: they are not in Spent
}

// Changed is what messages under changes cost more than they would have cost while all is well.
type Changed struct {
	Messages   int64 `json:"messages"`   // submitted under changes
	Difference Purse `json:"difference"` // by currency; negative where money was saved
	Unpriced   int64 `json:"unpriced"`   // of the messages, those of which one of both prices is not known: they are not in Difference
}

func (c *Changed) add(n int64, more Purse, known bool) {
	c.Messages += n
	if !known {
		c.Unpriced += n
		return
	}
	c.Difference.AddAll(more)
}

// Day is what the messages of a lane cost on one day: those that were submitted on it.
type Day struct {
	Day  Date       `json:"day"`  // UTC
	Lane route.Lane `json:"lane"` // of the policy
	Spent
	Changed Changed    `json:"changed"`
	Routes  []RouteDay `json:"routes"` // by id
}

// RouteDay is the part of a Day that went by one route.
type RouteDay struct {
	Route route.ID `json:"route"`
	Spent
	Refused  int64 `json:"refused"`   // submits that were refused or throttled, and cost nothing
	TimedOut int64 `json:"timed_out"` // submits without an answer: not among the messages, and charged or not
}

// entry is what is added to a day at once.
type entry struct {
	messages, refused, timedOut int64
	spent                       Purse
	priced                      bool
}

func (l *Ledger) day(k dayKey) *Day {
	d := l.days[k]
	if d == nil {
		d = &Day{Day: dateOf(k.day), Lane: k.lane, Spent: Spent{Spent: Purse{}}, Changed: Changed{Difference: Purse{}}}
		l.days[k] = d
	}
	l.dirty.days[k] = true
	return d
}

func (d *Day) add(id route.ID, x entry) {
	at, found := slices.BinarySearchFunc(d.Routes, id, func(r RouteDay, id route.ID) int { return cmp.Compare(r.Route, id) })
	if !found {
		d.Routes = slices.Insert(d.Routes, at, RouteDay{Route: id, Spent: Spent{Spent: Purse{}}})
	}
	r := &d.Routes[at]
	r.Refused, r.TimedOut = r.Refused+x.refused, r.TimedOut+x.timedOut
	for _, s := range []*Spent{&d.Spent, &r.Spent} {
		s.Messages += x.messages
		s.Spent.AddAll(x.spent)
		if !x.priced {
			s.Unpriced += x.messages
		}
	}
}
