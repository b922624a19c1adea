package route

import "time"

// Phase is where a route stands in a lane by the rules' verdicts.
type Phase string

// The phases. The empty phase is Active.
const (
	Active     Phase = "active"
	Recovering Phase = "recovering" // ramping back
	Demoted    Phase = "demoted"
)

// Admin is a person's word on a route in a lane, an operator's or the policy's; it stands beside the phase and is never
// mixed with it.
type Admin string

// The admin states. The empty one is AdminAuto.
const (
	AdminAuto    Admin = "auto"
	AdminPinned  Admin = "pinned"
	AdminDrained Admin = "drained"
	// AdminUnregistered is a route whose sender IDs are not registered for the class in the network: it is nobody's fallback.
	AdminUnregistered Admin = "unregistered"
)

// Clock counts how long one condition of one rule has been known and true. Time in which it was not known does not
// count, and does not end it.
type Clock struct {
	Rule    string    `json:"rule"`
	Verdict Verdict   `json:"verdict"`
	Held    Duration  `json:"held"` // counted up to At
	At      time.Time `json:"at"`
	True    bool      `json:"true"` // whether the condition was known and true at At
}

// Hold is the change that guards hold back.
type Hold struct {
	Rule    string    `json:"rule"`
	Verdict Verdict   `json:"verdict"`
	Guard   string    `json:"guard"` // the one that held it last
	Reason  Reason    `json:"reason"`
	Since   time.Time `json:"since"` // since when it has been asked for without a pause
	Seen    time.Time `json:"seen"`  // when it was last held
	Why     string    `json:"why"`
	Frees   string    `json:"frees"` // what would free it
}

// Told is what the journal has been told of a verdict that changed nothing. It is not told again before the verdict has
// not been given for a while.
type Told struct {
	Rule    string    `json:"rule"`
	Verdict Verdict   `json:"verdict"`
	What    string    `json:"what"` // the guard that held it, "observe" or "propose"
	Seen    time.Time `json:"seen"` // when it last applied
}

// State is all that is remembered of a route in a lane between two judgements.
type State struct {
	Route      ID        `json:"route"`
	Phase      Phase     `json:"phase"`
	Since      time.Time `json:"since,omitzero"`         // when the phase or the ramp step began; zero where it never changed
	Step       int       `json:"step,omitempty"`         // index in the ramp while recovering
	Rules      []string  `json:"rules,omitempty"`        // the rules that demoted it and have not promoted it, by name
	HoldUntil  time.Time `json:"hold_until,omitzero"`    // no promotion before this moment
	Relapses   int       `json:"relapses,omitempty"`     // demotions soon after a promotion, in a row
	PromotedAt time.Time `json:"promoted_at,omitzero"`   // when it last became active again
	Accused    Accused   `json:"accused,omitzero"`       // what it has to recover from
	Decision   string    `json:"decision,omitempty"`     // the decision that brought it here
	Text       string    `json:"text,omitempty"`         // that decision's sentence
	Clocks     []Clock   `json:"clocks,omitempty"`       // by rule, demote before promote
	Hold       *Hold     `json:"hold,omitempty"`         // a change that is being held back now
	Proposal   string    `json:"proposal,omitempty"`     // the decision that waits for a person
	ProposedBy string    `json:"proposed_by,omitempty"`  // its rule
	ProposedTo Phase     `json:"proposed_to,omitempty"`  // where it leads
	ExpiresAt  time.Time `json:"expires_at,omitzero"`    // when the proposal expires
	Told       []Told    `json:"told,omitempty"`         // what the journal need not be told again now
	Unknown    time.Time `json:"unknown_since,omitzero"` // since when a rule could not be judged; zero where all can be
	UnknownFor string    `json:"unknown_for,omitempty"`  // the rule that cannot, and why
	Alerted    bool      `json:"alerted,omitempty"`      // whether the journal has been told of Unknown
}

// Fresh is the state of a route that nothing is remembered of.
func Fresh(id ID) State { return State{Route: id, Phase: Active} }

// Blank reports whether nothing is remembered of the route.
func (s *State) Blank() bool {
	return (s.Phase == Active || s.Phase == "") && s.Since.IsZero() && len(s.Rules) == 0 && s.HoldUntil.IsZero() && s.Relapses == 0 &&
		s.PromotedAt.IsZero() && s.Accused == Accused{} && s.Decision == "" && len(s.Clocks) == 0 && s.Hold == nil && s.ProposedBy == "" &&
		len(s.Told) == 0 && s.Unknown.IsZero()
}

// LaneState is all that is remembered of a lane between two judgements.
type LaneState struct {
	Lane     Lane           `json:"lane"`
	Routes   []State        `json:"routes,omitempty"`   // by id; a route that is not there is as Fresh
	Networks []NetworkState `json:"networks,omitempty"` // by network; one that is not there is as the lane
	Changes  []time.Time    `json:"changes,omitempty"`  // moments of the last enforced changes, those of its networks too, oldest first; bounded by the velocity guard's window
}

// NetworkState is what is remembered of one MCC-MNC of a lane beside what is remembered of the lane. A route carries it
// only where it is active in both.
type NetworkState struct {
	Network Network `json:"network"`
	Routes  []State `json:"routes"` // by id, never empty; a route that is not there is as Fresh
}

// State is what is remembered of the route id, or nil where nothing is.
func (l *LaneState) State(id ID) *State { return find(l.Routes, id) }

// On is what is remembered of the route id on one network of the lane, or nil where nothing is.
func (l *LaneState) On(n Network, id ID) *State {
	if on := l.Network(n); on != nil {
		return find(on.Routes, id)
	}
	return nil
}

// Network is what is remembered of one network of the lane, or nil where nothing is.
func (l *LaneState) Network(n Network) *NetworkState {
	for i := range l.Networks {
		if l.Networks[i].Network == n {
			return &l.Networks[i]
		}
	}
	return nil
}

// find is the state of the route id among those that are sorted by id, or nil.
func find(states []State, id ID) *State {
	for lo, hi := 0, len(states); lo < hi; {
		switch mid := int(uint(lo+hi) >> 1); {
		case states[mid].Route == id:
			return &states[mid]
		case states[mid].Route < id:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil
}

// World is the whole state of the control plane: what must outlive a restart.
type World struct {
	Generation Generation  `json:"generation"`
	Ordinal    uint64      `json:"ordinal"`             // of the last decision recorded under Generation
	Policy     string      `json:"policy"`              // revision of the policy that Lanes were judged by
	At         time.Time   `json:"at"`                  // moment of the last judgement
	Lanes      []LaneState `json:"lanes"`               // in the order of the policy
	Overrides  []Override  `json:"overrides,omitempty"` // those in force, oldest first
}

// Lane returns the state of lane l, or nil where there is none.
func (w *World) Lane(l Lane) *LaneState {
	for i := range w.Lanes {
		if w.Lanes[i].Lane == l {
			return &w.Lanes[i]
		}
	}
	return nil
}
