package route

import "time"

// OverrideKind is what an operator orders.
type OverrideKind string

// The orders.
const (
	Pin    OverrideKind = "pin"    // the route stays in its phase, whatever rules say
	Drain  OverrideKind = "drain"  // the route gets no traffic
	Freeze OverrideKind = "freeze" // rules change nothing
)

// Override is an operator's order on lanes, or on a route in them. Rules never undo it.
type Override struct {
	ID      string       `json:"id"` // the decision that set it
	Kind    OverrideKind `json:"kind"`
	Class   Class        `json:"class"`             // AnyClass is every class
	Network Network      `json:"network"`           // lanes that lie in it; AnyNetwork is every lane
	Route   ID           `json:"route,omitempty"`   // "" for a freeze, which is about every route
	Changes string       `json:"changes,omitempty"` // of a freeze: promotions, demotions or changes
	Actor   string       `json:"actor"`             // who ordered it
	Reason  string       `json:"reason"`            // and why
	Since   time.Time    `json:"since"`
	Until   time.Time    `json:"until,omitzero"` // when it ends; zero is when somebody ends it
}

// Covers reports whether the override is about a lane, or a network of one.
func (o *Override) Covers(l Lane) bool {
	return (o.Class == AnyClass || o.Class == l.Class) && o.Network.Contains(l.Network)
}

// Replaces reports whether the override takes the place of another one: it is of the same kind, on the same lanes and
// route.
func (o *Override) Replaces(x *Override) bool {
	return o.Kind == x.Kind && o.Class == x.Class && o.Network == x.Network && o.Route == x.Route
}

// Text is the order in a few words, such as "drained by ann until 12:00:00: maintenance".
func (o *Override) Text(clock func(time.Time) string) string {
	did := map[OverrideKind]string{Pin: "pinned", Drain: "drained", Freeze: "frozen"}[o.Kind]
	until := ""
	if !o.Until.IsZero() {
		until = " until " + clock(o.Until)
	}
	return did + " by " + o.Actor + until + ": " + o.Reason
}
