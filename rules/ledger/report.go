package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"signalbox/rules/route"
)

// Query narrows a report; zero fields do not. It is an alias, so that those who ask can declare the same fields instead of
// importing this package.
type Query = struct {
	Since   time.Time     // days that end after it, and changes that do
	Class   route.Class   // lanes of this class
	Network route.Network // lanes whose network lies in this one
}

// Report is what messages cost and what changes made of it.
type Report struct {
	Since   Date     `json:"since"` // the first day that is kept or asked for
	Days    []Day    `json:"days"`  // by day, then by lane
	Changes []Change `json:"changes"`
	Total   Sum      `json:"total"` // of the days
}

// Sum is the sum over days and lanes.
type Sum struct {
	Spent
	Changed Changed `json:"changed"`
}

// Report is what is known up to now; nothing in it changes later.
func (l *Ledger) Report(q Query, now time.Time) Report {
	l.Settle()
	first := max(dayOf(q.Since), dayOf(now)-Days+1)
	r := Report{Since: dateOf(first), Days: []Day{}, Changes: []Change{}, Total: Sum{Spent: Spent{Spent: Purse{}}, Changed: Changed{Difference: Purse{}}}}
	for k, d := range l.days {
		if k.day >= first && within(q, k.lane) {
			r.Days = append(r.Days, d.clone())
			r.Total.Spent.addAll(&d.Spent)
			r.Total.Changed.addAll(&d.Changed)
		}
	}
	slices.SortFunc(r.Days, func(a, b Day) int { return cmp.Or(cmp.Compare(a.Day, b.Day), compareLanes(a.Lane, b.Lane)) })
	for _, c := range l.changes {
		if within(q, c.Lane) && (c.To.IsZero() || c.To.After(q.Since)) {
			x := *c
			x.Difference = maps.Clone(c.Difference)
			r.Changes = append(r.Changes, x)
		}
	}
	return r
}

func within(q Query, lane route.Lane) bool {
	return (q.Class == "" || lane.Class == q.Class) && (q.Network == "" || q.Network.Contains(lane.Network))
}

func (d *Day) clone() Day {
	out := *d
	out.Spent.Spent, out.Changed.Difference = maps.Clone(d.Spent.Spent), maps.Clone(d.Changed.Difference)
	out.Routes = slices.Clone(d.Routes)
	for i := range out.Routes {
		out.Routes[i].Spent.Spent = maps.Clone(out.Routes[i].Spent.Spent)
	}
	return out
}

func (s *Spent) addAll(other *Spent) {
	s.Messages, s.Unpriced = s.Messages+other.Messages, s.Unpriced+other.Unpriced
	s.Spent.AddAll(other.Spent)
}

func (c *Changed) addAll(other *Changed) {
	c.Messages, c.Unpriced = c.Messages+other.Messages, c.Unpriced+other.Unpriced
	c.Difference.AddAll(other.Difference)
}
