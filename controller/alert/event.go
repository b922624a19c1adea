package alert

import (
	"encoding/json"
	"fmt"
	"time"

	"signalbox/rules/route"
)

// Type says what happened. In CloudEvents it stands behind "signalbox.".
type Type string

// The types. Those that a decision tells of have its id; the others are told by what is watched.
const (
	RouteDemoted     Type = "route.demoted"
	RouteRecovering  Type = "route.recovering" // its first step back
	RoutePromoted    Type = "route.promoted"
	ProposalWaiting  Type = "proposal.waiting"
	ProposalApproved Type = "proposal.approved"
	ProposalRejected Type = "proposal.rejected"
	ProposalExpired  Type = "proposal.expired"
	GuardHeld        Type = "guard.held"
	GuardFreed       Type = "guard.freed"  // watched
	LaneTrouble      Type = "lane.trouble" // watched: common cause, or no route would be left
	LaneCalm         Type = "lane.calm"    // watched
	SignalUnknown    Type = "signal.unknown"
	SignalKnown      Type = "signal.known" // watched
	OverrideSet      Type = "override.set"
	OverrideExpiring Type = "override.expiring" // watched
	OverrideExpired  Type = "override.expired"
	OverrideEnded    Type = "override.ended"  // by a person
	PolicyRejected   Type = "policy.rejected" // watched
	PolicyAccepted   Type = "policy.accepted" // watched: after a rejection
	StoreAway        Type = "store.away"      // watched
	StoreBack        Type = "store.back"      // watched
	LeadChanged      Type = "lead.changed"
	SenderLagging    Type = "sender.lagging" // watched
	SenderCurrent    Type = "sender.current" // watched: after it lagged
	Test             Type = "test"           // somebody tries the receiver; it goes to each, whatever it asks for
)

// Types are those that a webhook can ask for.
var Types = []Type{RouteDemoted, RouteRecovering, RoutePromoted, ProposalWaiting, ProposalApproved, ProposalRejected, ProposalExpired,
	GuardHeld, GuardFreed, LaneTrouble, LaneCalm, SignalUnknown, SignalKnown, OverrideSet, OverrideExpiring, OverrideExpired, OverrideEnded,
	PolicyRejected, PolicyAccepted, StoreAway, StoreBack, LeadChanged, SenderLagging, SenderCurrent}

// Event is one thing that receivers are told, as the outbox keeps it.
type Event struct {
	ID         string           `json:"id"`
	Type       Type             `json:"type"`
	Time       time.Time        `json:"time"`
	Generation route.Generation `json:"generation"`
	About      About            `json:"about"`
	Over       bool             `json:"over,omitempty"` // what the alert was about has ended
	Since      time.Time        `json:"since,omitzero"` // when it began, where that is known
	Summary    string           `json:"summary"`        // a line
	Text       string           `json:"text,omitempty"` // all of it
	Decision   *route.Decision  `json:"decision,omitempty"`
}

// letter is the event as the outbox takes it, but for the receiver.
func (e *Event) letter() []byte {
	body, err := json.Marshal(e)
	if err != nil {
		// A value that JSON has not, such as an infinity among the inputs of a decision.
		bare := *e
		bare.Decision = nil
		body, _ = json.Marshal(&bare) // texts and moments only
	}
	return body
}

// Tell is what receivers are told of a decision: nothing, one event, or two where a person approved a change. It is pure.
func Tell(d *route.Decision) []Event {
	var out []Event
	for _, t := range typesOf(d) {
		e := Event{ID: d.ID, Type: t, Time: d.Time, Generation: d.Generation, About: aboutDecision(t, d), Over: ends[t], Text: d.Text, Decision: d}
		if t == ProposalApproved {
			e.ID += "-approval"
		}
		e.Summary = summaryOf(t, d)
		out = append(out, e)
	}
	return out
}

func typesOf(d *route.Decision) []Type {
	if !d.Enforced {
		return one(typeOfRemark(d))
	}
	switch d.Reason {
	case route.OverrideSet:
		return one(OverrideSet)
	case route.OverrideEnded:
		if d.Actor == nil {
			return one(OverrideExpired)
		}
		return one(OverrideEnded)
	case route.LeaderChanged:
		return one(LeadChanged)
	case route.Approved:
		return append(one(ProposalApproved), one(typeOfMove(d))...)
	}
	return one(typeOfMove(d))
}

func one(t Type) []Type {
	if t == "" {
		return nil
	}
	return []Type{t}
}

// typeOfMove is the type of a change that was made; none of a further step of a ramp, and where the phase stays.
func typeOfMove(d *route.Decision) Type {
	switch {
	case d.From == d.To:
		return ""
	case d.To == route.Demoted:
		return RouteDemoted
	case d.To == route.Recovering:
		return RouteRecovering
	case d.To == route.Active:
		return RoutePromoted
	}
	return ""
}

// typeOfRemark is the type of a change that was not made. Waits that are part of every way back (hold-down, settling,
// another change under way) are nobody's business at night.
func typeOfRemark(d *route.Decision) Type {
	switch d.Reason {
	case route.Proposed:
		return ProposalWaiting
	case route.Rejected:
		return ProposalRejected
	case route.Expired:
		return ProposalExpired
	case route.GuardHeld:
		return GuardHeld
	case route.Frozen:
		if d.Verdict == route.VerdictDemote {
			return GuardHeld
		}
	case route.Unknown, route.LowEvidence:
		return SignalUnknown
	}
	return ""
}

// summaryOf is a decision in a line.
func summaryOf(t Type, d *route.Decision) string {
	who, where := string(d.Route), " in "+d.Lane.String()
	switch t {
	case RouteDemoted:
		return who + " demoted" + where + " by " + byWhat(d)
	case RouteRecovering:
		return who + " on its way back" + where
	case RoutePromoted:
		return who + " active again" + where
	case ProposalWaiting:
		return "approval wanted: " + who + where + ", from " + string(d.From) + " to " + string(d.To)
	case ProposalApproved, ProposalRejected, ProposalExpired:
		return "proposal about " + who + where + " " + string(t)[len("proposal."):]
	case GuardHeld:
		return fmt.Sprintf("%s%s stays %s: held by %s", who, where, d.From, heldBy(d))
	case SignalUnknown:
		return who + where + " cannot be judged"
	case LeadChanged:
		return "another signalbox leads"
	}
	return orderSummary(t, d)
}

func byWhat(d *route.Decision) string {
	if d.Actor != nil {
		return *d.Actor + ", who approved " + d.Rule
	}
	return d.Rule
}

// heldBy is the first guard that held.
func heldBy(d *route.Decision) string {
	for i := range d.Guards {
		if d.Guards[i].Result == "hold" {
			return d.Guards[i].Guard
		}
	}
	return string(d.Reason)
}

func orderSummary(t Type, d *route.Decision) string {
	what := map[Type]string{OverrideSet: "in force", OverrideExpired: "has expired", OverrideEnded: "was ended"}[t]
	who, kind := string(d.Route), "order"
	if who == "" {
		who = "all routes"
	}
	if d.Override != nil {
		kind = string(d.Override.Kind)
	}
	return kind + " of " + who + " in " + d.Lane.String() + " " + what
}
