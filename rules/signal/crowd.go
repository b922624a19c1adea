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
	// traffic, and never fewer, so that the first minutes of a route that takes over are a crowd until they are usual.
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
	swell
	crowd
	sizes
)

// crowds knows which messages of a place were handed over together, over all of its keys: by minute, and of those that
// are older by ten minutes. The messages of all crowded minutes of one ten are one crowd.
type crowds struct {
	head   int64  // minute of the newest message; 0 where there was none
	usual  uint32 // messages of a minute
	sent   [minutesKept]uint32
	sizes  [minutesKept]size // of minutes that have ended
	blocks [blocksKept]block
}

// block is what ten minutes hold, as far as they have ended: messages by the size of their minute, and the sum of squares
// of the minutes, by which their mean size is that of the minute that a message finds itself in.
type block struct {
	sent    [sizes]uint32
	squares [sizes]float32
}

func (b *block) add(s size, n, squares float64) {
	b.sent[s] += uint32(n)
	b.squares[s] += float32(squares)
}

// note counts a submit.
func (c *crowds) note(tick int64) {
	minute := floorDiv(tick, ticksPerMid)
	if c.head == 0 || minute-c.head > blocksKept*minutesInBlock || c.head-minute > blocksKept*minutesInBlock {
		*c = crowds{head: minute}
	}
	for c.head < minute {
		c.turn()
	}
	if minute <= c.head-minutesKept {
		return
	}
	m := mod(minute, minutesKept)
	if minute < c.head {
		c.block(minute).add(c.sizes[m], 1, 2*float64(c.sent[m])+1)
	}
	c.sent[m]++
}

func (c *crowds) block(minute int64) *block {
	return &c.blocks[mod(floorDiv(minute, minutesInBlock), blocksKept)]
}

// turn ends the newest minute and begins the next.
func (c *crowds) turn() {
	m := mod(c.head, minutesKept)
	n := float64(c.sent[m])
	c.sizes[m] = c.size(c.sent[m])
	c.block(c.head).add(c.sizes[m], n, n*n)
	c.head++
	m = mod(c.head, minutesKept)
	c.sent[m], c.sizes[m] = 0, usualSize
	if mod(c.head, minutesInBlock) == 0 {
		*c.block(c.head) = block{}
	}
	c.usual = c.median()
}

// size is that of a minute with so many messages.
func (c *crowds) size(sent uint32) size {
	switch {
	case sent > max(crowdLeast, crowdTimes*c.usual):
		return crowd
	case float64(sent) > swellTimes*float64(c.usual):
		return swell
	}
	return usualSize
}

// held reports whether the size of a minute is still known.
func (c *crowds) held(minute int64) bool {
	return c != nil && minute <= c.head && minute > c.head-minutesKept
}

// sizeOf is the size of a minute; usual where it is not known.
func (c *crowds) sizeOf(minute int64) size {
	switch {
	case !c.held(minute):
		return usualSize
	case minute == c.head:
		return c.size(c.sent[mod(minute, minutesKept)])
	}
	return c.sizes[mod(minute, minutesKept)]
}

// median is the usual number of messages: that of the minutes before the newest.
func (c *crowds) median() uint32 {
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

// weight is for how much each message of a cohort counts, 0..1, given how messages of one minute are correlated by its
// size. The cohort begins at a tick and is a part of a minute, a minute or ten. Without crowds, each counts as one.
func (c *crowds) weight(start, width int64, together correlations) float64 {
	if c == nil {
		return 1
	}
	minute := floorDiv(start, ticksPerMid)
	s, b := c.sizeOf(minute), c.block(minute)
	switch {
	case width > ticksPerMid:
		return b.weight(together)
	case s == crowd:
		return min(1, crowdCounts/c.crowded(minute, b))
	}
	return together.weight(s, float64(c.sent[mod(minute, minutesKept)]))
}

// crowded is how many messages the crowd has that a minute is part of.
func (c *crowds) crowded(minute int64, b *block) float64 {
	n := float64(b.sent[crowd])
	if floorDiv(c.head, minutesInBlock) == floorDiv(minute, minutesInBlock) && c.sizeOf(c.head) == crowd {
		n += float64(c.sent[mod(c.head, minutesKept)])
	}
	return n
}

// weight is the mean of those of the block's messages.
func (b *block) weight(together correlations) float64 {
	all, counts := 0.0, 0.0
	for s := range sizes {
		n := float64(b.sent[s])
		switch all += n; {
		case n == 0:
		case s == crowd:
			counts += min(n, crowdCounts)
		default:
			counts += n * together.weight(s, float64(b.squares[s])/n)
		}
	}
	if all == 0 {
		return 1
	}
	return counts / all
}
