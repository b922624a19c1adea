package signal

import "slices"

// A crowd is messages that are handed over together, as a campaign is. What decides whether they arrive, such as a list
// of numbers of which a third does not exist, or the carrier's queue, they have in common: ten thousand of them are not
// ten thousand trials of the route. The likelihood of a scan takes messages as independent, so it has to weigh a crowd
// for less: by the effective size of a cluster of correlated trials (L. Kish, 1965), which tends to 1/ρ however large the
// cluster is, ρ being the correlation within it.
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
	// crowdHour and crowdLeastPast are the minutes of which the median is usual: the last hour, as far as there was
	// traffic, and never fewer, so that the first minutes of a route that takes over are a crowd until they are usual.
	crowdHour      = 60
	crowdLeastPast = 5
)

const (
	ticksPerBlock  = ticksPerTen
	minutesKept    = (fineSlots+ticksPerMid)/ticksPerMid + midSlots + 1
	minutesInBlock = ticksPerTen / ticksPerMid
	blocksKept     = minutesKept/minutesInBlock + coarseSlots + 3
)

// crowds knows which messages of a place were handed over together, over all of its keys: by minute, and of those that
// are older by ten minutes. The messages of all crowded minutes of one ten are one crowd.
type crowds struct {
	head    int64 // minute of the newest message; 0 where there was none
	limit   uint32
	sent    [minutesKept]uint32 // submits of a minute
	crowded [minutesKept]bool   // of minutes that have ended
	all     [blocksKept]uint32  // submits of ten minutes
	within  [blocksKept]uint32  // and those in its crowded minutes that have ended
}

// note counts a submit.
func (c *crowds) note(tick int64) {
	minute := floorDiv(tick, ticksPerMid)
	if c.head == 0 || minute-c.head > blocksKept*minutesInBlock || c.head-minute > blocksKept*minutesInBlock {
		*c = crowds{head: minute, limit: crowdLeast}
	}
	for c.head < minute {
		c.turn()
	}
	if minute <= c.head-minutesKept {
		return
	}
	m, b := mod(minute, minutesKept), c.block(minute)
	c.sent[m]++
	c.all[b]++
	if c.crowded[m] {
		c.within[b]++
	}
}

func (c *crowds) block(minute int64) int64 {
	return mod(floorDiv(minute, minutesInBlock), blocksKept)
}

// turn ends the newest minute and begins the next.
func (c *crowds) turn() {
	if m := mod(c.head, minutesKept); c.sent[m] > c.limit {
		c.crowded[m] = true
		c.within[c.block(c.head)] += c.sent[m]
	}
	c.head++
	c.sent[mod(c.head, minutesKept)], c.crowded[mod(c.head, minutesKept)] = 0, false
	if mod(c.head, minutesInBlock) == 0 {
		c.all[c.block(c.head)], c.within[c.block(c.head)] = 0, 0
	}
	c.limit = max(crowdLeast, crowdTimes*c.usual())
}

// usual is the median number of messages in the minutes before the newest.
func (c *crowds) usual() uint32 {
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

// weight is for how much each message of a cohort counts, 0..1; the cohort begins at a tick and is a part of a minute, a
// minute or ten. Without crowds, each counts as one.
func (c *crowds) weight(start, width int64) float64 {
	if c == nil {
		return 1
	}
	minute := floorDiv(start, ticksPerMid)
	b := c.block(minute)
	within, open := c.within[b], false
	if floorDiv(c.head, minutesInBlock) == floorDiv(minute, minutesInBlock) && c.sent[mod(c.head, minutesKept)] > c.limit {
		within, open = within+c.sent[mod(c.head, minutesKept)], true
	}
	switch {
	case within <= crowdCounts:
		return 1
	case width > ticksPerMid:
		return float64(c.all[b]-within+crowdCounts) / float64(c.all[b])
	case c.crowded[mod(minute, minutesKept)] || open && minute == c.head:
		return crowdCounts / float64(within)
	}
	return 1
}
