package signal

// tally is what of all cohorts of a ring is judged, slot by slot.
type tally struct{ submitted, delivered, failed, converted [slots]uint64 }

// tally sums up a ring that is not empty.
func (r *ring) tally(t *tally) {
	*t = tally{}
	c := r.cohorts
	t.part(&c.fine, 0, midOffset)
	t.part(&c.mid, midOffset, coarseOffset)
	t.part(&c.coarse, coarseOffset, slots)
}

// part sums up the slots from..to.
func (t *tally) part(c *columns, from, to int) {
	c.add(t.submitted[from:to], fieldSubmitted)
	c.add(t.failed[from:to], fieldFailed)
	c.add(t.converted[from:to], fieldConverted)
	for field := fieldDelivered; field < fields; field++ {
		c.add(t.delivered[from:to], field)
	}
}

// none reports whether there is nothing to judge in a slot.
func (t *tally) none(s int) bool {
	return t.submitted[s]|t.delivered[s]|t.failed[s]|t.converted[s] == 0
}
