package route

// Order is one thing that an operator wants done: exactly one of Override, End and Proposal is given. It is a value, so
// that it can be recorded and given again.
type Order struct {
	Override *Override  `json:"override,omitempty"` // to be put in force
	Replaces string     `json:"replaces,omitempty"` // the id of the override in force that Override takes the place of
	End      string     `json:"end,omitempty"`      // the id of an override in force, which is to end
	Proposal string     `json:"proposal,omitempty"` // the id of a decision that waits for a person
	Approve  bool       `json:"approve,omitempty"`  // whether the proposal is approved; else it is rejected
	Actor    string     `json:"actor"`              // who orders it
	Reason   string     `json:"reason,omitempty"`   // and why
	Accept   []string   `json:"accept,omitempty"`   // the guards whose refusal the operator passes over, by name
	Saw      Generation `json:"saw,omitzero"`       // of the table that it was ordered on; zero is not compared

	// In recordings: what the proposal was about, as a replay gives it another id. Override has the id that it got there.
	Lane  Lane `json:"lane,omitzero"`
	Route ID   `json:"route,omitempty"`
}
