// Package route is signalbox's vocabulary: routes, lanes, observations, signals, states, decisions and the table that
// senders read. It holds values and their text forms, and imports nothing of the project.
package route

// ID names a route: one account at a carrier or provider. It is what senders see and ask for.
type ID string

// Class is a traffic class such as otp, transactional or bulk. In a lane, "*" stands for every class.
type Class string

// AnyClass is the class of a lane that serves classes without a lane of their own.
const AnyClass Class = "*"

// Key is the finest unit of evidence: the messages of one class to one network by one route.
type Key struct {
	Route   ID
	Class   Class
	Network Network
}

// Lane is a class and a network as the policy writes them: what a sender looks up, and the unit of blast radius.
type Lane struct {
	Class   Class   `json:"class"`
	Network Network `json:"network"`
}

// String is the lane in the form "otp/GB".
func (l Lane) String() string { return string(l.Class) + "/" + string(l.Network) }

// Matches reports whether a message of class c to network n may be served by the lane.
func (l Lane) Matches(c Class, n Network) bool {
	return (l.Class == c || l.Class == AnyClass) && l.Network.Contains(n)
}

// Find returns the index of the lane that serves a message of class c to network n, or -1 where none does: the same
// class goes before "*", and within a class the most specific network (MCC-MNC, its country, "*").
func Find(lanes []Lane, c Class, n Network) int {
	best, rank := -1, -1
	for i, l := range lanes {
		if !l.Matches(c, n) {
			continue
		}
		r := l.Network.specificity()
		if l.Class == c {
			r += 3
		}
		if r > rank {
			best, rank = i, r
		}
	}
	return best
}
