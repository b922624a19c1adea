package signal

// tally is what of all cohorts of a ring is judged, slot by slot.
type tally struct {
	submitted, delivered, failed, converted [slots]uint32
	early                                   [slots]uint32 // delivered within the first edges of receiptAges that were asked for
	inTime                                  [slots]uint32 // delivered within what the class allows
}

// tally sums up a ring that is not empty; edges is how many of receiptAges are early.
func (r *ring) tally(t *tally, edges int) {
	*t = tally{}
	c := r.cohorts
	t.part(&c.fine, 0, midOffset, edges)
	t.part(&c.mid, midOffset, coarseOffset, edges)
	t.part(&c.coarse, coarseOffset, slots, edges)
}

// part sums up the slots from..to.
func (t *tally) part(c *columns, from, to, edges int) {
	c.add(t.submitted[from:to], fieldSubmitted)
	c.add(t.failed[from:to], fieldFailed)
	c.add(t.converted[from:to], fieldConverted)
	c.add(t.inTime[from:to], fieldInTime)
	for field := fieldDelivered; field < fieldDelivered+edges; field++ {
		c.add(t.early[from:to], field)
	}
	copy(t.delivered[from:to], t.early[from:to])
	for field := fieldDelivered + edges; field < fields; field++ {
		c.add(t.delivered[from:to], field)
	}
}

// none reports whether there is nothing to judge in a slot.
func (t *tally) none(s int) bool {
	return t.submitted[s]|t.delivered[s]|t.failed[s]|t.converted[s] == 0
}
