package scenario

import "time"

// plan is something that will happen.
type plan struct {
	at    time.Time
	order uint64 // among those of one moment
	do    func()
}

func (p *plan) before(q *plan) bool {
	if p.at.Equal(q.at) {
		return p.order < q.order
	}
	return p.at.Before(q.at)
}

// plans are a binary heap, the next one first.
type plans []plan

func (p *plans) push(x plan) {
	*p = append(*p, x)
	h := *p
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (p *plans) pop() plan {
	h := *p
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], plan{}
	h = h[:last]
	*p = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// at plans something for a moment, after all that is planned for the same one.
func (s *Sim) at(at time.Time, do func()) {
	s.order++
	s.planned.push(plan{at, s.order, do})
}

func (s *Sim) after(d time.Duration, do func()) { s.at(s.now.Add(d), do) }
