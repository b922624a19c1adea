package access

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How many attempts of one address may fail at once, how often one more may after that, and how many addresses are
// remembered.
const (
	failureBurst  = 20
	failureEvery  = time.Second
	failuresKnown = 10_000
)

// failures counts failed attempts by address. What it remembers is bounded: when it is full it forgets those that have
// been quiet, or else any one.
type failures struct {
	mu sync.Mutex // guards by
	by map[netip.Addr]failed
}

// failed is a leaky bucket: how full it was at a moment.
type failed struct {
	level float64 // attempts, up to failureBurst
	at    time.Time
}

func newFailures() *failures { return &failures{by: map[netip.Addr]failed{}} }

// leaked is the bucket as it is now.
func (f failed) leaked(now time.Time) failed {
	f.level = max(0, f.level-float64(now.Sub(f.at))/float64(failureEvery))
	f.at = now
	return f
}

// full reports whether no more attempts of the address are looked at now.
func (f *failures) full(a netip.Addr, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.by[a]
	return ok && b.leaked(now).level > failureBurst-1
}

// note counts a failed attempt, and reports false where there were too many.
func (f *failures) note(a netip.Addr, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.by[a]
	if b = b.leaked(now); b.level > failureBurst-1 {
		f.by[a] = b
		return false
	}
	if !ok {
		f.makeRoom(now)
	}
	b.level++
	f.by[a] = b
	return true
}

func (f *failures) makeRoom(now time.Time) {
	if len(f.by) < failuresKnown {
		return
	}
	var last netip.Addr
	for a, b := range f.by {
		if b.leaked(now).level == 0 {
			delete(f.by, a)
		}
		last = a
	}
	if len(f.by) >= failuresKnown {
		delete(f.by, last)
	}
}

// addressOf is the address that a request comes from; of IPv6 the network of 64 bits, which is what one client has.
func addressOf(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return clientOf(from.Addr())
}

func clientOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() || a.IsLoopback() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
