package route

import "time"

// FullShare is the whole traffic of a lane: shares are in ten-thousandths.
const FullShare = 10000

// Table is what senders read. A published table never changes.
type Table struct {
	Generation  Generation  `json:"generation"`
	PublishedAt time.Time   `json:"published_at"`
	Policy      string      `json:"policy"`
	Lanes       []LaneTable `json:"lanes"`
}

// LaneTable is the part of a table for one lane.
type LaneTable struct {
	Class      Class    `json:"class"`
	Network    Network  `json:"network"`
	Mode       Mode     `json:"mode"`
	RetryAfter Duration `json:"retry_after"`
	Routes     []Entry  `json:"routes"` // in the order to try; shares sum to FullShare
}

// Entry is one route in a lane. Share 0 and phase active is a standby.
type Entry struct {
	Route  ID         `json:"route"`
	Share  int        `json:"share"` // ten-thousandths
	Phase  Phase      `json:"phase"`
	Admin  Admin      `json:"admin,omitempty"`
	Price  string     `json:"price,omitempty"`
	Since  *time.Time `json:"since,omitempty"` // when it came into this phase or step; absent where it never changed
	Reason *Because   `json:"reason,omitempty"`
}

// Because says why an entry is not simply active.
type Because struct {
	Rule     string `json:"rule"`
	Decision string `json:"decision"`
	Text     string `json:"text"`
}

// Lane is the lane as a value.
func (l *LaneTable) Lane() Lane { return Lane{l.Class, l.Network} }

// Lookup returns the index of the lane that serves a message of class c to network n, or -1.
func (t *Table) Lookup(c Class, n Network) int {
	lanes := make([]Lane, len(t.Lanes))
	for i := range t.Lanes {
		lanes[i] = t.Lanes[i].Lane()
	}
	return Find(lanes, c, n)
}
