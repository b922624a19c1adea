package signal

import (
	"fmt"
	"time"

	"signalbox/rules/route"
)

// How long receipts take is told on one clock only. Where one source tells of submits and another of receipts, their clocks
// are compared by how far each is ahead of ours at most: the least delayed of its events shows it best.

const (
	offsetAllowed = 5 * time.Second // by which the clocks of submits and receipts may differ
	offsetMemory  = 5 * time.Minute // after which half of what was seen is forgotten
)

// offset is how far a source's clock is ahead of ours, over one to two turns of offsetMemory.
type offset struct {
	now, was time.Duration
	began    time.Time
	seen     bool
}

func (o *offset) note(at, now time.Time) {
	ahead := at.Sub(now)
	if gap := now.Sub(o.began); !o.seen || gap >= offsetMemory || gap < 0 {
		o.was = o.now
		if !o.seen || gap >= 2*offsetMemory || gap < 0 {
			o.was = ahead
		}
		o.now, o.began, o.seen = ahead, now, true
	}
	o.now = max(o.now, ahead)
}

func (o *offset) ahead() time.Duration { return max(o.now, o.was) }

// apart says that the clocks of those that submit and of those that only bring receipts differ, or nothing.
func (c *clock) apart(now time.Time) string {
	for _, receiver := range c.links {
		if !receiver.receipts || receiver.submits || receiver.source.away(now) {
			continue
		}
		for _, sender := range c.links {
			if !sender.submits || sender.source.away(now) {
				continue
			}
			if by := receiver.source.offset.ahead() - sender.source.offset.ahead(); by.Abs() > offsetAllowed {
				return fmt.Sprintf("the clocks of %s, which tells of submits, and %s, which brings receipts, differ by %s, or what one of them tells arrives so late", sender.name, receiver.name, route.Duration(by.Abs().Round(time.Second)))
			}
		}
	}
	return ""
}
