package access

import (
	"errors"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// comers is a listener whose connections come from given addresses, and then ends.
type comers struct {
	net.Listener
	from   []string
	closed int
}

// comer is one of them.
type comer struct {
	net.Conn
	of   *comers
	from string
}

func (c *comers) Accept() (net.Conn, error) {
	if len(c.from) == 0 {
		return nil, errors.New("no more")
	}
	from := c.from[0]
	c.from = c.from[1:]
	return &comer{of: c, from: from}, nil
}

func (c *comer) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", c.from)
	return a
}

func (c *comer) Close() error {
	c.of.closed++
	return nil
}

// accepted are the connections that a listener of eight takes until no more come.
func accepted(t *testing.T, b *Bounded) (all []net.Conn) {
	t.Helper()
	for {
		c, err := b.Accept()
		if err != nil {
			return all
		}
		all = append(all, c)
	}
}

func TestOneAddressHasAQuarterOfTheConnections(t *testing.T) {
	c := &comers{}
	b := Bound(c, 8, prometheus.NewRegistry())
	for range 5 {
		c.from = append(c.from, "192.0.2.1:1", "[2001:db8::1]:1", "[2001:db8::2]:1", "127.0.0.1:1")
	}
	first := accepted(t, b)
	if len(first) != 8 || c.closed != 12 { // two of each address, IPv6 by network, and four of loopback
		t.Fatalf("took %d and closed %d, want 8 and 12", len(first), c.closed)
	}
	if got := testutil.ToFloat64(b.refused); got != 12 {
		t.Errorf("counted %v, want 12", got)
	}
	for _, one := range first {
		one.Close()
		one.Close() // as servers do
	}
	if b.all != 0 || len(b.by) != 0 {
		t.Errorf("remembers %d connections of %d addresses after all are closed", b.all, len(b.by))
	}
	c.from = []string{"192.0.2.1:1"}
	if again := accepted(t, b); len(again) != 1 {
		t.Error("there is no room after all are closed")
	}
}
