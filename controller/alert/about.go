package alert

import (
	"strings"

	"signalbox/rules/route"
)

// Kind is a sort of trouble. It is the alertname that Alertmanager gets.
type Kind string

// The kinds.
const (
	KindRouteDemoted     Kind = "SignalboxRouteDemoted" // until it is active again
	KindProposalWaiting  Kind = "SignalboxProposalWaiting"
	KindGuardHeld        Kind = "SignalboxGuardHeld"
	KindLaneInTrouble    Kind = "SignalboxLaneInTrouble"
	KindSignalUnknown    Kind = "SignalboxSignalUnknown"
	KindRoutePinned      Kind = "SignalboxRoutePinned"
	KindRouteDrained     Kind = "SignalboxRouteDrained"
	KindLaneFrozen       Kind = "SignalboxLaneFrozen"
	KindOverrideExpiring Kind = "SignalboxOverrideExpiring"
	KindPolicyRejected   Kind = "SignalboxPolicyRejected"
	KindStoreAway        Kind = "SignalboxStoreAway"
	KindSenderLagging    Kind = "SignalboxSenderLagging"
	KindLeadChanged      Kind = "SignalboxLeadChanged"
	KindWatchdog         Kind = "SignalboxWatchdog" // holds always: where it ceases, nobody watches
	KindTest             Kind = "SignalboxTest"
)

// nature is what goes with a kind.
type nature struct {
	severity string // critical: wake somebody; warning: by day; info; none
	begins   Type   // the event of its begin, where no decision tells it
	ends     Type   // the event of its end, where no decision tells it
}

var natures = map[Kind]nature{
	KindRouteDemoted:     {severity: "warning"},
	KindProposalWaiting:  {severity: "warning"},
	KindGuardHeld:        {severity: "warning", ends: GuardFreed},
	KindLaneInTrouble:    {severity: "critical", begins: LaneTrouble, ends: LaneCalm},
	KindSignalUnknown:    {severity: "warning", ends: SignalKnown},
	KindRoutePinned:      {severity: "info"},
	KindRouteDrained:     {severity: "info"},
	KindLaneFrozen:       {severity: "info"},
	KindOverrideExpiring: {severity: "info", begins: OverrideExpiring},
	KindPolicyRejected:   {severity: "warning", begins: PolicyRejected, ends: PolicyAccepted},
	KindStoreAway:        {severity: "critical", begins: StoreAway, ends: StoreBack},
	KindSenderLagging:    {severity: "warning", begins: SenderLagging, ends: SenderCurrent},
	KindLeadChanged:      {severity: "info"},
	KindWatchdog:         {severity: "none"},
	KindTest:             {severity: "none"},
}

// ends are the types that say that something is over.
var ends = map[Type]bool{RoutePromoted: true, ProposalApproved: true, ProposalRejected: true, ProposalExpired: true, GuardFreed: true,
	LaneCalm: true, SignalKnown: true, OverrideExpired: true, OverrideEnded: true, PolicyAccepted: true, StoreBack: true, SenderCurrent: true}

// About is what an alert is about, and its identity: what holds still while it holds.
type About struct {
	Kind    Kind          `json:"kind"`
	Route   route.ID      `json:"route,omitempty"`
	Class   route.Class   `json:"class,omitempty"`
	Network route.Network `json:"network,omitempty"`
	Sender  string        `json:"sender,omitempty"`
}

// key is the identity in one text.
func (a About) key() string {
	return strings.Join([]string{string(a.Kind), string(a.Class), string(a.Network), string(a.Route), a.Sender}, "|")
}

// subject is what it is about in a word: the route, the lane or the sender.
func (a About) subject() string {
	switch {
	case a.Route != "":
		return string(a.Route)
	case a.Class != "":
		return string(a.Class) + "/" + string(a.Network)
	case a.Sender != "":
		return a.Sender
	}
	return "signalbox"
}

// labels are the identity as Alertmanager has it, with those that the settings add. The generation is none of them.
func (a About) labels(added map[string]string) map[string]string {
	out := make(map[string]string, len(added)+6)
	for name, value := range added {
		out[name] = value
	}
	for name, value := range map[string]string{"alertname": string(a.Kind), "severity": natures[a.Kind].severity,
		"route": string(a.Route), "class": string(a.Class), "network": string(a.Network), "sender": a.Sender} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// aboutDecision is what an event of a decision is about.
func aboutDecision(t Type, d *route.Decision) About {
	a := About{Kind: kindOf(t), Route: d.Route, Class: d.Lane.Class, Network: d.Lane.Network}
	if d.Override != nil {
		a.Kind = kindOfOrder(d.Override.Kind)
	}
	return a
}

func kindOf(t Type) Kind {
	switch t {
	case ProposalWaiting, ProposalApproved, ProposalRejected, ProposalExpired:
		return KindProposalWaiting
	case GuardHeld:
		return KindGuardHeld
	case SignalUnknown:
		return KindSignalUnknown
	case LeadChanged:
		return KindLeadChanged
	}
	return KindRouteDemoted
}

func kindOfOrder(k route.OverrideKind) Kind {
	switch k {
	case route.Drain:
		return KindRouteDrained
	case route.Freeze:
		return KindLaneFrozen
	}
	return KindRoutePinned
}
