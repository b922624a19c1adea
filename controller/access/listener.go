package access

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Bounded is a listener that holds no more than so many connections, and of one address no more than a quarter of them:
// one client that opens connections and says nothing cannot keep the others out. Those beyond are closed at once. Loopback,
// where a proxy may stand for everybody, is bounded only as a whole.
type Bounded struct {
	net.Listener
	most    int
	refused prometheus.Counter

	mu  sync.Mutex // guards the rest
	all int
	by  map[netip.Addr]int
}

// Bound bounds a listener; most is above 0.
func Bound(l net.Listener, most int, r prometheus.Registerer) *Bounded {
	b := &Bounded{Listener: l, most: most, by: map[netip.Addr]int{}}
	f := promauto.With(r)
	b.refused = f.NewCounter(prometheus.CounterOpts{Name: "signalbox_http_connections_refused_total",
		Help: "Connections that were closed because there were too many, of all or of one address."})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "signalbox_http_connections", Help: "Connections that are open now."}, func() float64 {
		b.mu.Lock()
		defer b.mu.Unlock()
		return float64(b.all)
	})
	return b
}

// Accept is the next connection that there is room for.
func (b *Bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := remoteAddress(c.RemoteAddr().String())
		if b.take(from) {
			return &bounded{Conn: c, let: sync.OnceFunc(func() { b.leave(from) })}, nil
		}
		b.refused.Inc()
		_ = c.Close() // it was never used
	}
}

func (b *Bounded) take(from netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= b.most || b.by[from] >= max(1, b.most/4) && !from.IsLoopback() {
		return false
	}
	b.all++
	b.by[from]++
	return true
}

func (b *Bounded) leave(from netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.by[from]--; b.by[from] == 0 {
		delete(b.by, from)
	}
}

// bounded is a connection that makes room when it is closed.
type bounded struct {
	net.Conn
	let func()
}

// Close closes the connection.
func (c *bounded) Close() error {
	defer c.let()
	return c.Conn.Close()
}
