package access

import (
	"math"
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

// failures counts failed attempts by address. What it remembers is bounded.
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

// makeRoom forgets the address with the fewest failures of a few, taken by chance: what a flood from many addresses costs
// does not grow with how many are remembered.
func (f *failures) makeRoom(now time.Time) {
	if len(f.by) < failuresKnown {
		return
	}
	var least netip.Addr
	level, looked := math.Inf(1), 0
	for a, b := range f.by {
		if b = b.leaked(now); b.level < level {
			least, level = a, b.level
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(f.by, least)
}

// addressOf is the address that a request comes from; of IPv6 the network of 64 bits, which is what one client has.
func addressOf(r *http.Request) netip.Addr { return remoteAddress(r.RemoteAddr) }

func remoteAddress(hostPort string) netip.Addr {
	from, err := netip.ParseAddrPort(hostPort)
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
