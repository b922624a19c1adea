package api

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Header values that never change. They are shared by all answers, so nobody may write to them.
var (
	tableCache = []string{"max-age=1, stale-if-error=604800"}
	tableVary  = []string{"Accept-Encoding"}
	tableType  = []string{"application/json"}
)

// getTable answers with the table, or that it is the one that the client has; on request it waits for another one first.
func (a *api) getTable(w http.ResponseWriter, r *http.Request) {
	p := a.Tables.Table()
	if p == nil {
		a.notWarm(w, r)
		return
	}
	pg := a.pages.of(p)
	if r.URL.RawQuery == "" && r.Header["Prefer"] == nil {
		pg.serve(w, r)
		return
	}
	q, wrong := readTableQuery(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	if q.waits(r, pg) {
		a.wait(w, r, q, pg)
	}
	if pg = a.narrow(q); pg == nil {
		a.noLane(w, r, q.class, q.network)
		return
	}
	pg.serve(w, r)
}

// narrow returns the page that the query asks for, of the table in force now; nil where it has no such lane.
func (a *api) narrow(q tableQuery) *page {
	if q.class == "" && q.network == "" {
		return a.pages.of(a.Tables.Table())
	}
	p := a.Tables.Filtered(q.class, q.network)
	if p == nil {
		return nil
	}
	return a.pages.view(p)
}

// wait waits until there is another table than that of pg, or as long as the query asks for.
func (a *api) wait(w http.ResponseWriter, r *http.Request, q tableQuery, pg *page) {
	if q.preferred {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(q.wait/time.Second)))
	}
	if rec, ok := w.(*recorder); ok {
		rec.waited = true
	}
	a.metrics.waiting.Inc()
	defer a.metrics.waiting.Dec()
	ctx, done := untilDrain(r.Context())
	defer done()
	a.Tables.Wait(ctx, pg.of.Table.Generation, jittered(q.wait))
}

// jittered adds up to a sixteenth, so that clients that began together do not end together.
func jittered(d time.Duration) time.Duration { return d + rand.N(d/16+1) }

// serve writes the page, or 304 where the client has it.
func (pg *page) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Etag"] = pg.etag
	h["Signalbox-Generation"] = pg.generation
	h["Signalbox-Index"] = pg.index
	h["Cache-Control"] = tableCache
	h["Vary"] = tableVary
	if matches(r.Header["If-None-Match"], pg.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b := &pg.bodies[pg.choose(r.Header["Accept-Encoding"])]
	h["Content-Type"] = tableType
	h["Content-Length"] = b.length
	if pg.signature != nil {
		h["Signalbox-Signature"] = pg.signature
	}
	if b.encoding != nil {
		h["Content-Encoding"] = b.encoding
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != "HEAD" {
		w.Write(b.bytes) // an error means that the client has gone
	}
}

func (a *api) notWarm(w http.ResponseWriter, r *http.Request) {
	a.unavailable(w, r, "not-warm", "no table has been published since signalbox started; keep the one you have")
}

// maxWait bounds waits for a table, without their jitter.
const maxWait = 60 * time.Second
