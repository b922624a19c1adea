package api

import (
	"context"
	"errors"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// What follows is asked of the rest of the program. The structs are aliases: whoever has them to give declares the same
// fields, and then satisfies the interfaces without importing this package; the compiler compares them where they meet.

// Published is a table with the bytes that senders get. Nothing in it ever changes.
type Published = struct {
	Table *route.Table
	Plain []byte // JSON
	Gzip  []byte // Plain in gzip; nil: not to be had
	Zstd  []byte // Plain in zstd; nil: not to be had
}

// Tables gives the table in force.
type Tables interface {
	// Table is the table in force; nil until there is one.
	Table() *Published
	// Wait returns the table in force as soon as its generation is another than have, and at the latest after d or when
	// ctx is done.
	Wait(ctx context.Context, have route.Generation, d time.Duration) *Published
	// Filtered is the table in force with only the lanes that messages of the class to networks in the network can come
	// across. Empty arguments narrow nothing. It is nil where no lane is left.
	Filtered(c route.Class, n route.Network) *Published
}

// LaneRow is what was last judged of a lane.
type LaneRow = struct {
	Class   route.Class   `json:"class"`
	Network route.Network `json:"network"`
	Mode    route.Mode    `json:"mode"`
	At      time.Time     `json:"at"` // when it was judged
	Routes  []RouteRow    `json:"routes"`
}

// RouteRow is what was last judged of a route in a lane.
type RouteRow = struct {
	Route   route.ID       `json:"route"`
	State   route.State    `json:"state"`
	Signals *route.Signals `json:"signals"`         // nil where there was nothing to judge of it
	Score   any            `json:"score,omitempty"` // 0..100 with its parts
}

// Lanes gives what was last judged, all of one moment.
type Lanes interface {
	Lanes() []LaneRow
	Lane(l route.Lane) (LaneRow, bool) // exactly this lane
}

// Query narrows the journal; zero fields do not.
type Query = struct {
	Since   time.Time     // decisions of this moment and later
	Until   time.Time     // decisions before this moment
	Route   route.ID      // decisions about this route
	Class   route.Class   // decisions in lanes of this class
	Network route.Network // decisions in lanes whose network lies in this one
	Limit   int           // how many at most
	Before  string        // the id of a decision: only those that come after it in the answer's order
}

// Journal gives decisions.
type Journal interface {
	// Decisions are newest first; next is what to pass as Before for those that follow, "" where there are no more.
	Decisions(q Query) (found []route.Decision, next string, err error)
	Decision(id string) (d route.Decision, found bool, err error)
}

// Explainer says why a route is where it is in a lane, and why it is not elsewhere.
type Explainer interface {
	// Explain returns what becomes the JSON of the answer; false where the lane does not have the route.
	Explain(r route.ID, l route.Lane) (any, bool)
}

// Probes are what looks at routes.
type Probes interface {
	// Watches are how all probes stand, those of other places included, by route, way and vantage.
	Watches() []route.Watch
	// PutWatches takes how the probes of another place stand, in place of what it told before. An error: there is no room
	// for another place.
	PutWatches(vantage string, watches []route.Watch) error
}

// Alerts are who is told what.
type Alerts interface {
	// Report returns what becomes the JSON of the answer: the receivers, what holds now, the last deliveries.
	Report() any
	// Try sends a test to a receiver, or to all where the name is empty, and returns what becomes the JSON of the answer.
	// It is ErrNoReceiver where there is none of the name.
	Try(ctx context.Context, receiver string) (any, error)
}

// ErrNoReceiver is the answer to the name of a receiver that there is not.
var ErrNoReceiver = errors.New("no such receiver")

// PriceQuery narrows what is told of prices; zero fields do not.
type PriceQuery = struct {
	Since   time.Time     // days that end after it, and changes that do
	Class   route.Class   // lanes of this class
	Network route.Network // lanes whose network lies in this one
}

// Prices says what messages cost.
type Prices interface {
	// Prices returns what becomes the JSON of the answer; an error: there is nobody left to tell.
	Prices(ctx context.Context, q PriceQuery) (any, error)
}

// Attempt is one submit of a message, and what came back for it.
type Attempt = struct {
	Route      route.ID          `json:"route"`
	Class      route.Class       `json:"class"`
	Network    route.Network     `json:"network"`
	Time       time.Time         `json:"time"`                // of the submit, by the sender's clock
	Result     string            `json:"result"`              // accepted, refused, timeout or withdrawn; "unseen" where it is known from its receipts alone
	Code       string            `json:"code,omitempty"`      // that it was refused with
	Fault      string            `json:"fault,omitempty"`     // whose fault the refusal was: route, capacity, message or config
	Latency    *route.Duration   `json:"latency"`             // to the answer; null where it was not told
	Generation *route.Generation `json:"generation"`          // of the table that the sender said it used; null where it did not say
	Table      *Standing         `json:"table"`               // what that table said of the route; null where no lane served the message
	Receipts   []Answer          `json:"receipts"`            // by the moment they came
	Converted  *Answer           `json:"conversion"`          // proof that the person got it; null where none came
	Forgotten  bool              `json:"forgotten,omitempty"` // what joins receipts to messages let go of it before its final status: later ones are missing here
}

// Answer is a receipt or a conversion.
type Answer = struct {
	Status string         `json:"status"` // of the receipt; converted for a conversion
	Time   time.Time      `json:"time"`
	Age    route.Duration `json:"age"`              // since the submit
	Code   string         `json:"code,omitempty"`   // the carrier's
	Counts bool           `json:"counts,omitempty"` // the first final status, which is the one that counts
}

// Standing is what a table said of a route.
type Standing = struct {
	Generation route.Generation `json:"generation"`
	Assumed    bool             `json:"assumed,omitempty"`     // the sender did not say which table it used: it is the one that was in force
	NotKept    string           `json:"not_kept,omitempty"`    // why what follows is not known
	Published  time.Time        `json:"published_at,omitzero"` // since when the row had been so
	Lane       route.Lane       `json:"lane,omitzero"`         // of the row that served the message
	Entry      *route.Entry     `json:"entry,omitempty"`       // absent where the row did not have the route
}

// Messages knows the way of messages of late.
type Messages interface {
	// Find returns the attempts of a message by the moment of their submit, on one route or on all, and what is kept at
	// all, as it becomes the JSON of the answer. The error says why there are none.
	Find(id string, by route.ID) (found []Attempt, window any, err error)
}

// Sender is what a sender last said of itself, and how it stands.
type Sender = struct {
	Name       string           `json:"name"`
	Generation route.Generation `json:"generation"`    // that it runs, or refused
	Applied    bool             `json:"applied"`       // false: it refused the generation and runs an older one
	Why        string           `json:"why,omitempty"` // why it refused
	Since      time.Time        `json:"since"`         // when it first said so
	Seen       time.Time        `json:"seen"`          // when it last said so
	Runs       route.Generation `json:"runs,omitzero"` // the last one that it applied; zero where it has told of none
	RunsSince  time.Time        `json:"runs_since,omitzero"`
	// How it stands at the moment it was asked for: current, behind, refused or silent.
	Standing string `json:"standing,omitempty"`
	// Behind is for how long there has been a newer generation than it confirmed, in seconds; 0 while it runs the one in force.
	Behind float64 `json:"behind_seconds"`
}

// Senders remembers what senders say.
type Senders interface {
	PutSender(s Sender) error // what it says only; an error: there is no room for another
	// Standings are all senders, by name, with how each stands at the moment now.
	Standings(now time.Time) []Sender
}

// Signer signs tables.
type Signer interface {
	// Sign returns the value of the header Signalbox-Signature for the bytes of a table as they are without a coding.
	Sign(plain []byte) string
}

// Ordered is what an operator's order led to, or would lead to.
type Ordered = struct {
	Done       bool                 `json:"done"`       // false: it is shown, and has not been done
	Generation route.Generation     `json:"generation"` // of the table before it, where it is shown; after it, where it is done
	Decisions  []route.Decision     `json:"decisions"`
	Lanes      []decide.PlannedLane `json:"lanes"`              // those that senders see change
	Warnings   []decide.Warning     `json:"warnings,omitempty"` // what guards hold against it that it passes over
}

// Operators do what operators order.
type Operators interface {
	// Order returns once the order is durable. Its errors are those of decide.Obey; one that has a method NotStored() bool
	// says that the order could not be stored.
	Order(ctx context.Context, o route.Order) (Ordered, error)
	Preview(o route.Order) (Ordered, error) // what it would lead to now
	Overrides() []route.Override            // in force, oldest first
	Proposals() []decide.Waiting            // that wait for a person
}

// News is one thing that those who follow are told.
type News = struct {
	ID       string // of the decision, or the generation of the table
	Kind     string // generation, decision, or proposal for a decision that waits for a person
	Decision *route.Decision
}

// Feed tells what happens.
type Feed interface {
	// Follow returns what came after the news with the id, and a channel that is closed when there is more. Missed is
	// whether others may have come in between.
	Follow(after string) (news []News, missed bool, more <-chan struct{})
	Latest() string // the id of the latest news; "" where there are none
}

// Reloader reads the policy again.
type Reloader interface {
	// Reload leaves the active policy in force where it returns an error. Where the error is a join of several, or has a
	// method Problems() []string, each of them is told.
	Reload(ctx context.Context) error
}

// PolicyStatus describes the active policy and the last attempt to change it.
type PolicyStatus = struct {
	Revision    string    `json:"revision"`
	LoadedAt    time.Time `json:"loaded_at"`
	LastError   string    `json:"last_error,omitempty"`   // why the last reload was refused; empty where it was not
	LastErrorAt time.Time `json:"last_error_at,omitzero"` // when
	Problems    []string  `json:"problems,omitempty"`     // all that was wrong with it, each with its place
	Source      any       `json:"source,omitempty"`       // where it comes from, as whoever read it writes it
}

// Planner says what another policy would change.
type Planner interface {
	// Plan returns what becomes the JSON of the answer: what the policy in the files would change now, and what it would
	// have decided over what was recorded since a moment. Where the files are no policy the error has a method
	// Problems() []string. It is ErrBusy while another plan reads the recording.
	Plan(ctx context.Context, files []policy.File, since time.Time) (any, error)
}

// ErrBusy is the answer of a Planner that does one thing at a time.
var ErrBusy = errors.New("another plan reads the recording now")

// Policy gives the status of the policy.
type Policy interface {
	Status() PolicyStatus
}
