package alert

import (
	"fmt"
	"time"

	"signalbox/rules/route"
)

// Scene is what conditions are read from, all of one moment. It is an alias, so that those who have it to give can declare
// the same fields instead of importing this package.
type Scene = struct {
	World       route.World
	Table       *route.Table  // in force; nil before the first
	CommonWait  time.Duration // how long common_cause waits for another route to prove better
	PolicyError string        // why the last policy was refused; "" where it was not
	PolicyAt    time.Time     // and when
	StoreFailed time.Time     // since when nothing can be made durable; zero while all can
}

// Sender is a sender that does not follow the table. It is an alias, as Scene is.
type Sender = struct {
	Name       string           `json:"name"`
	Generation route.Generation `json:"generation"`    // that it runs, or refused
	Applied    bool             `json:"applied"`       // false: it refused the generation and runs an older one
	Why        string           `json:"why,omitempty"` // why it refused
	Since      time.Time        `json:"since"`         // when it first said so
	Seen       time.Time        `json:"seen"`          // when it last said so
	Runs       route.Generation `json:"runs,omitzero"` // the last one that it applied; zero where it has told of none
	RunsSince  time.Time        `json:"runs_since,omitzero"`
	Standing   string           `json:"standing,omitempty"` // current, behind, refused or silent
	Behind     float64          `json:"behind_seconds"`     // for how long there has been a newer one than it confirmed
}

// Condition is something that holds now and that somebody should know.
type Condition struct {
	About    About     `json:"about"`
	Since    time.Time `json:"since"`
	Summary  string    `json:"summary"`
	Text     string    `json:"text,omitempty"`
	Decision string    `json:"decision,omitempty"` // the id of the one that led to it
	Quiet    bool      `json:"quiet,omitempty"`    // no alert: it may pass by itself, or another condition tells of it
}

// How long things last before they are alerts, and how soon before its end an override is told to expire.
const (
	heldAfter     = 2 * time.Minute
	expiresWithin = 15 * time.Minute
)

// conditions are all that hold in a scene, lane by lane in the order of the policy. It is pure.
func conditions(s *Scene, lagging []Sender, now time.Time) []Condition {
	var out []Condition
	for i := range s.World.Lanes {
		out = append(out, laneConditions(s, &s.World.Lanes[i])...)
	}
	out = append(out, stranded(s.Table)...)
	for i := range s.World.Overrides {
		out = append(out, orderConditions(&s.World.Overrides[i], now)...)
	}
	if s.PolicyError != "" {
		out = append(out, Condition{About: About{Kind: KindPolicyRejected}, Since: s.PolicyAt, Summary: "the last policy was refused; the one before stays", Text: s.PolicyError})
	}
	if !s.StoreFailed.IsZero() {
		out = append(out, Condition{About: About{Kind: KindStoreAway}, Since: s.StoreFailed, Summary: "nothing can be stored, so nothing changes", Text: "the log of signalbox says why"})
	}
	for _, l := range lagging {
		out = append(out, senderCondition(&l))
	}
	return distinct(out)
}

// distinct leaves the first of those that have the same identity.
func distinct(all []Condition) []Condition {
	seen, out := map[string]bool{}, all[:0]
	for _, c := range all {
		if !seen[c.About.key()] {
			seen[c.About.key()] = true
			out = append(out, c)
		}
	}
	return out
}

// laneConditions are those of the routes of a lane and of its networks, and of the lane.
func laneConditions(s *Scene, l *route.LaneState) []Condition {
	out := rowConditions(s, l.Lane, l.Routes)
	for i := range l.Networks {
		n := &l.Networks[i]
		out = append(out, rowConditions(s, route.Lane{Class: l.Lane.Class, Network: n.Network}, n.Routes)...)
	}
	return out
}

func rowConditions(s *Scene, lane route.Lane, states []route.State) []Condition {
	var out []Condition
	for i := range states {
		out = append(out, routeConditions(lane, &states[i])...)
	}
	if why, since := trouble(s, states); why != "" {
		out = append(out, Condition{About: About{Kind: KindLaneInTrouble, Class: lane.Class, Network: lane.Network}, Since: since,
			Summary: "trouble in " + lane.String() + " that moving traffic does not mend", Text: why})
	}
	return out
}

func routeConditions(lane route.Lane, s *route.State) []Condition {
	if s.Phase == route.Active && s.ProposedBy == "" && s.Hold == nil && !s.Alerted {
		return nil // as nearly all
	}
	var out []Condition
	about := func(k Kind) About {
		return About{Kind: k, Route: s.Route, Class: lane.Class, Network: lane.Network}
	}
	where := string(s.Route) + " in " + lane.String()
	switch s.Phase {
	case route.Demoted:
		out = append(out, Condition{About: about(KindRouteDemoted), Since: s.Since, Summary: where + " is demoted", Text: s.Text, Decision: s.Decision})
	case route.Recovering:
		out = append(out, Condition{About: about(KindRouteDemoted), Since: s.Since, Summary: where + " is on its way back", Text: s.Text, Decision: s.Decision})
	}
	if s.ProposedBy != "" {
		out = append(out, Condition{About: about(KindProposalWaiting), Summary: fmt.Sprintf("%s waits for a person: to be %s, by %s", where, s.ProposedTo, s.ProposedBy),
			Text: "it expires at " + s.ExpiresAt.UTC().Format(time.RFC3339), Decision: s.Proposal})
	}
	if tells(s.Hold) {
		out = append(out, Condition{About: about(KindGuardHeld), Since: s.Hold.Since, Summary: where + " stays " + string(s.Phase) + ": held by " + s.Hold.Guard,
			Text: s.Hold.Why + "; what would free it: " + s.Hold.Frees, Quiet: laneWide(s.Hold) || s.Hold.Seen.Sub(s.Hold.Since) < heldAfter})
	}
	if s.Alerted {
		out = append(out, Condition{About: about(KindSignalUnknown), Since: s.Unknown, Summary: where + " cannot be judged", Text: s.UnknownFor})
	}
	return out
}

// tells reports whether a hold is somebody's business; it is the same as of the decision that tells of it.
func tells(h *route.Hold) bool {
	return h != nil && typeOfRemark(&route.Decision{Reason: h.Reason, Verdict: h.Verdict}) == GuardHeld
}

const (
	guardMinActive   = "min_active"
	guardCommonCause = "common_cause"
)

// laneWide reports whether a hold means that the lane is in trouble, which is told apart.
func laneWide(h *route.Hold) bool {
	return h.Verdict == route.VerdictDemote && (h.Guard == guardMinActive || h.Guard == guardCommonCause)
}

// trouble is why a lane is in trouble; "" where it is not: a route is bad and the last, or several are bad together. One
// route that common_cause holds may only be waiting for another to prove better, for a time that the policy names.
func trouble(s *Scene, states []route.State) (why string, since time.Time) {
	common := 0
	for i := range states {
		h := states[i].Hold
		if h == nil || !laneWide(h) {
			continue
		}
		if why == "" {
			why, since = string(states[i].Route)+": "+h.Why, h.Since
		}
		if h.Guard == guardMinActive || h.Seen.Sub(h.Since) >= s.CommonWait {
			return string(states[i].Route) + ": " + h.Why, h.Since
		}
		common++
	}
	if common < 2 {
		return "", time.Time{}
	}
	return why, since
}

// stranded are the lanes of a table in which no route is active.
func stranded(t *route.Table) []Condition {
	var out []Condition
	for i := 0; t != nil && i < len(t.Lanes); i++ {
		if l := &t.Lanes[i]; !usable(l) {
			out = append(out, Condition{About: About{Kind: KindLaneInTrouble, Class: l.Class, Network: l.Network}, Since: t.PublishedAt,
				Summary: "no route is active in " + l.Lane().String(), Text: "traffic goes by routes that are demoted or on their way back"})
		}
	}
	return out
}

func usable(l *route.LaneTable) bool {
	for i := range l.Routes {
		if e := &l.Routes[i]; e.Phase == route.Active && e.Admin != route.AdminDrained && e.Admin != route.AdminUnregistered {
			return true
		}
	}
	return false
}

func orderConditions(o *route.Override, now time.Time) []Condition {
	about := About{Kind: kindOfOrder(o.Kind), Route: o.Route, Class: o.Class, Network: o.Network}
	text := o.Text(func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") })
	who := string(o.Route)
	if who == "" {
		who = "rules"
	}
	out := []Condition{{About: about, Since: o.Since, Summary: fmt.Sprintf("%s in %s/%s: %s", who, o.Class, o.Network, text), Decision: o.ID}}
	if o.Until.IsZero() || o.Until.Sub(now) > min(expiresWithin, o.Until.Sub(o.Since)/4) {
		return out
	}
	about.Kind = KindOverrideExpiring
	return append(out, Condition{About: about, Since: o.Until.Add(-min(expiresWithin, o.Until.Sub(o.Since)/4)),
		Summary: fmt.Sprintf("the %s of %s in %s/%s ends at %s", o.Kind, who, o.Class, o.Network, o.Until.UTC().Format("15:04:05")), Text: text, Decision: o.ID})
}

func senderCondition(s *Sender) Condition {
	text := "it runs " + s.Runs.String() + ", and has not confirmed a newer one for " + route.Duration(time.Duration(s.Behind)*time.Second).String()
	if s.Runs == (route.Generation{}) {
		text = "it has told of no table that it runs"
	}
	if !s.Applied {
		text = "it refused " + s.Generation.String() + ": " + s.Why
	}
	return Condition{About: About{Kind: KindSenderLagging, Sender: s.Name}, Since: s.Since, Summary: "sender " + s.Name + " does not follow the table", Text: text}
}
