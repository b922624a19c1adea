package signal

import "slices"

// A crowd is messages that are handed over together, as a campaign is. What decides whether they arrive, such as a list
// of numbers of which a third does not exist, or the carrier's queue, they have in common: ten thousand of them are not
// ten thousand trials of the route. The likelihood of a scan takes messages as independent, so it has to weigh a crowd
// for less: by the effective size of a cluster of correlated trials, n / (1 + (n−1)ρ) (L. Kish, 1965), which tends to
// 1/ρ however large the cluster is, ρ being the correlation within it.
const (
	// crowdCounts is for how many messages a crowd counts. It lies where one crowd that fails throughout is still enough
	// to demote (15 messages, none delivered: 43 nats), while one of which a third fails beyond the usual is not even
	// suspect (5 nats, under suspectNats), so that its baseline learns of it, nor are two together proof (10 nats of 12).
	crowdCounts = 15
	// crowdLeast is below what a third that fails could not be proof even of independent messages (12 nats / 0.25).
	crowdLeast = 50
	// crowdTimes the usual number of messages in a minute is a crowd. Traffic that swings by 60 % over the day, at most
	// 1.6 / 0.4, does not reach it.
	crowdTimes = 4
	// swellTimes the usual number is a swell: there may be a campaign in it, so that its correlation is learned apart.
	swellTimes = 1.25
	// crowdHour and crowdLeastPast are the minutes of which the median is usual: the last hour, as far as there was
	// traffic, and never fewer. Of the first minutes of all nobody knows what is usual, so that they are.
	crowdHour      = 60
	crowdLeastPast = 5
)

const (
	minutesKept    = (fineSlots+ticksPerMid)/ticksPerMid + midSlots + 5 // some more than until a minute is mature
	minutesInBlock = ticksPerTen / ticksPerMid
	blocksKept     = minutesKept/minutesInBlock + coarseSlots + 3
)

// size is how many messages a minute has beside the usual.
type size uint8

// The sizes of minutes.
const (
	usualSize size = iota
	swellSize
	crowdSize
	sizes
)

// crowds knows which messages of a place were handed over together, over all of its keys. It takes memory once there are
// so many in a minute that it matters.
type crowds struct {
	began  int64  // minute of the first message; 0 where there was none
	minute int64  // of the newest message
	sent   uint32 // messages of that minute
	recent *recent
}

// recent is the messages of a place by minute, and of those that are older by ten minutes. The messages of all crowded
// minutes of one ten are one crowd.
type recent struct {
	began  int64  // the minute in which the place had its first message
	head   int64  // the newest minute
	tick   int64  // of the newest message
	usual  uint32 // messages of a minute
	sent   [minutesKept]uint32
	sizes  [minutesKept]size // of minutes that have ended
	blocks [blocksKept]block
}

// block is what ten minutes hold, as far as they have ended: messages by the size of their minute, and the sum over
// those in swells of the size of their swell.
type block struct {
	sent   [sizes]uint32
	swells float32
}

// note counts a submit.
func (c *crowds) note(tick int64) {
	minute := floorDiv(tick, ticksPerMid)
	if c.began == 0 {
		c.began = minute
	}
	if minute > c.minute || c.minute-minute > blocksKept*minutesInBlock {
		c.minute, c.sent = minute, 0
	}
	if minute == c.minute {
		c.sent++
	}
	switch {
	case c.recent != nil:
		c.recent.note(tick, 1)
	case c.sent > crowdLeast:
		c.recent = &recent{began: c.began}
		c.recent.note(tick, c.sent)
	}
}

// forget gives back the memory of messages of which none is judged any more.
func (c *crowds) forget(tick int64) {
	if tick-c.minute*ticksPerMid > ringSpan+2*ticksPerTen {
		c.recent = nil
	}
}

// weight is for how much each message of a cohort counts, 0..1, given how messages in a swell are correlated. The cohort
// begins at a tick and is a part of a minute, a minute or ten. Where nothing is known of crowds, each counts as one.
func (c *crowds) weight(start, width int64, correlation float64) float64 {
	if c == nil || c.recent == nil {
		return 1
	}
	return c.recent.weight(start, width, correlation)
}

// swells reports whether a minute is a swell that is over.
func (c *crowds) swells(minute int64) bool {
	return c != nil && c.recent != nil && c.recent.held(minute) && c.recent.sizeOf(minute) == swellSize
}

// note counts submits of a tick.
func (c *recent) note(tick int64, n uint32) {
	minute := floorDiv(tick, ticksPerMid)
	if c.head == 0 || minute-c.head > blocksKept*minutesInBlock || c.head-minute > blocksKept*minutesInBlock {
		*c = recent{began: min(c.began, minute), head: minute, tick: tick}
	}
	c.tick = max(c.tick, tick)
	for c.head < minute {
		c.turn()
	}
	if minute <= c.head-minutesKept {
		return
	}
	m := mod(minute, minutesKept)
	if minute < c.head {
		c.block(minute).sent[c.sizes[m]] += n
	}
	c.sent[m] += n
}

func (c *recent) block(minute int64) *block {
	return &c.blocks[mod(floorDiv(minute, minutesInBlock), blocksKept)]
}

// turn ends the newest minute and begins the next.
func (c *recent) turn() {
	m, b := mod(c.head, minutesKept), c.block(c.head)
	c.sizes[m] = c.size(c.sent[m], 1)
	b.sent[c.sizes[m]] += c.sent[m]
	if c.sizes[m] == swellSize {
		b.swells += float32(c.sent[m]) * float32(c.swelling(c.head))
		if c.sizeOf(c.head-1) == swellSize { // which knew nothing of this one when it ended
			c.block(c.head - 1).swells += float32(c.sent[m]) * float32(c.sent[mod(c.head-1, minutesKept)])
		}
	}
	c.head++
	m = mod(c.head, minutesKept)
	c.sent[m], c.sizes[m] = 0, usualSize
	if mod(c.head, minutesInBlock) == 0 {
		*c.block(c.head) = block{}
	}
	c.usual = c.median()
}

// size is that of a minute with so many messages, or of a part of it: where a campaign has just crossed into a minute,
// one need not wait until it has ended to see it.
func (c *recent) size(sent uint32, part float64) size {
	switch {
	case c.head-c.began < crowdLeastPast:
		return usualSize
	case sent > max(crowdLeast, crowdTimes*c.usual):
		return crowdSize
	case float64(sent) > swellTimes*float64(c.usual)*part:
		return swellSize
	}
	return usualSize
}

// held reports whether the size of a minute is still known.
func (c *recent) held(minute int64) bool {
	return minute <= c.head && minute > c.head-minutesKept
}

// sizeOf is the size of a minute; usual where it is not known.
func (c *recent) sizeOf(minute int64) size {
	switch {
	case !c.held(minute):
		return usualSize
	case minute == c.head:
		return c.size(c.sent[mod(minute, minutesKept)], float64(mod(c.tick, ticksPerMid)+1)/ticksPerMid)
	}
	return c.sizes[mod(minute, minutesKept)]
}

// median is the usual number of messages: that of the minutes before the newest.
func (c *recent) median() uint32 {
	var past [crowdHour]uint32
	n := 0
	for i := range past {
		if past[i] = c.sent[mod(c.head-1-int64(i), minutesKept)]; past[i] > 0 {
			n = i + 1
		}
	}
	last := past[:max(n, crowdLeastPast)]
	slices.Sort(last)
	return last[len(last)/2]
}

// weight is that of crowds.
func (c *recent) weight(start, width int64, correlation float64) float64 {
	minute := floorDiv(start, ticksPerMid)
	b := c.block(minute)
	if width > ticksPerMid {
		return b.weight(correlation)
	}
	switch s := c.sizeOf(minute); {
	case s == crowdSize:
		return min(1, crowdCounts/c.crowded(minute, b))
	case s == swellSize && correlation > 0:
		return counts(c.swelling(minute), correlation)
	}
	return 1
}

// swelling is how many messages the swell has that a minute is part of: a campaign may lie across two minutes.
func (c *recent) swelling(minute int64) float64 {
	n := 0.0
	for m := minute - 1; m <= minute+1; m++ {
		if m == minute || c.sizeOf(m) == swellSize {
			n += float64(c.sent[mod(m, minutesKept)])
		}
	}
	return n
}

// crowded is how many messages the crowd has that a minute is part of.
func (c *recent) crowded(minute int64, b *block) float64 {
	n := float64(b.sent[crowdSize])
	if floorDiv(c.head, minutesInBlock) == floorDiv(minute, minutesInBlock) && c.sizeOf(c.head) == crowdSize {
		n += float64(c.sent[mod(c.head, minutesKept)])
	}
	return n
}

// weight is the mean of those of the block's messages.
func (b *block) weight(correlation float64) float64 {
	all := float64(b.sent[usualSize]) + float64(b.sent[swellSize]) + float64(b.sent[crowdSize])
	if all == 0 {
		return 1
	}
	n := float64(b.sent[usualSize]) + min(float64(b.sent[crowdSize]), crowdCounts)
	if s := float64(b.sent[swellSize]); s > 0 {
		n += s * counts(float64(b.swells)/s, correlation)
	}
	return n / all
}
