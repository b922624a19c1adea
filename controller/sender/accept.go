package sender

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// answer is a table as it came.
type answer struct {
	plain     []byte // without a coding
	signature string // the header's value
}

// refusal is why a table was not taken.
type refusal struct {
	generation Generation // zero where it could not be read
	why        string
}

// Error says why.
func (r *refusal) Error() string {
	return fmt.Sprintf("table %s refused: %s", r.generation, r.why)
}

// read checks an answer by itself: its signature, and that something can be sent by it.
func (c *Client) read(a *answer) (*Table, error) {
	signed := verify(c.o.Keys, a.signature, a.plain)
	t, err := ReadTable(a.plain)
	if signed != nil {
		err = signed
	}
	if err == nil {
		return t, nil
	}
	r := &refusal{why: err.Error()}
	if t != nil {
		r.generation = t.Generation
	}
	return nil, r
}

// take makes the answer the table in force if it may be: its signature holds, it is not empty, and it is newer than the
// one in force, and Apply puts it into effect. The same one again is no news. Otherwise the old one stays, and the error
// is a refusal.
func (c *Client) take(ctx context.Context, a *answer) (taken bool, err error) {
	t, err := c.read(a)
	if err != nil {
		return false, err
	}
	old := c.Table()
	switch {
	case old == nil || t.Generation.Newer(old.Generation):
	case t.Generation == old.Generation:
		return false, nil
	default:
		return false, &refusal{t.Generation, fmt.Sprintf("it is older than %s, which is in force here", old.Generation)}
	}
	if c.o.Apply != nil {
		if err := c.o.Apply(ctx, t); err != nil {
			return false, &refusal{t.Generation, err.Error()}
		}
	}
	c.table.Store(t)
	c.note(func(s *Status) { s.Taken = time.Now() })
	c.log.Info("table taken", "generation", t.Generation.String(), "policy", t.Policy)
	if err := c.keep(a); err != nil {
		c.log.Warn("table not kept", "file", c.o.File, "err", err)
	}
	if c.o.Changed != nil {
		c.o.Changed(t)
	}
	return true, nil
}

// confirm tells the server which table runs here.
func (c *Client) confirm(to *url.URL) {
	if t := c.Table(); t != nil {
		c.say(said{Generation: t.Generation, Applied: true, to: to})
	}
}
