package controller

import (
	"context"

	"signalbox/rules/ledger"
)

type reporting struct {
	query ledger.Query
	done  chan ledger.Report
}

// Prices says what messages cost, and what changes made of it, up to now. Its error is one that wraps context.Canceled
// where nobody is left to tell.
func (c *Controller) Prices(ctx context.Context, q ledger.Query) (ledger.Report, error) {
	r := reporting{q, make(chan ledger.Report, 1)}
	select {
	case c.reports <- r:
	case <-ctx.Done():
		return ledger.Report{}, errStopped
	}
	return <-r.done, nil // the loop answers whatever it has taken
}

// pages are those of the ledger that are to be made durable now; nil where none are.
func (c *Controller) pages(wanted bool) []ledger.Page {
	if !wanted {
		return nil
	}
	pages, err := c.engine.Ledger.Pending()
	if err != nil {
		c.log.Error("prices not stored", "err", err)
		return nil
	}
	return pages
}
