package policy

import (
	"time"

	"github.com/google/cel-go/cel"

	"signalbox/rules/route"
)

// Facts are what a condition may see beside signals and the route itself.
type Facts struct {
	Phase    route.Phase   // "" is active
	PhaseAge time.Duration // since the phase or the ramp step began
	Relapses int           // demotions soon after a promotion, in a row
	Active   int           // active routes of the lane, this one counted
}

func (f *Facts) phase() route.Phase {
	if f.Phase == "" {
		return route.Active
	}
	return f.Phase
}

// Env is what a condition is judged against: one route in one lane at one moment. It only points, so that making one
// for each judgement costs nothing; what is nil is unknown. The lane, its rate (submits a second of this route in this
// lane) and the price in its network follow from Signals and Route.
type Env struct {
	Signals *route.Signals
	Route   *Route
	State   Facts
}

// activation resolves names for a compiled condition. It is one pointer, so that it fits an interface without memory.
type activation struct{ env *Env }

// ResolveName returns the value of a variable, or CEL's unknown.
func (a activation) ResolveName(name string) (any, bool) {
	if v, ok := variableByName[name]; ok {
		return v.get(a.env), true
	}
	return nil, false
}

// Parent is nil: there is no other place to look for names.
func (a activation) Parent() cel.Activation { return nil }
