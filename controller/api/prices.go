package api

import (
	"net/http"
	"time"
)

// pricesSince is how far back prices are told where nothing is asked for.
const pricesSince = 7 * 24 * time.Hour

func (a *api) getPrices(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	q, wrong := readPriceQuery(v, time.Now())
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	report, err := a.Prices.Prices(r.Context(), q)
	if err != nil {
		a.unavailable(w, r, "stopping", "signalbox is stopping")
		return
	}
	a.reply(w, r, http.StatusOK, report)
}

func readPriceQuery(v values, now time.Time) (q PriceQuery, wrong *problem) {
	if q.Since, wrong = v.moment("since", now); wrong != nil {
		return q, wrong
	}
	if q.Since.IsZero() {
		q.Since = now.Add(-pricesSince)
	}
	if q.Class, wrong = v.class(); wrong != nil {
		return q, wrong
	}
	q.Network, wrong = v.network()
	return q, wrong
}
