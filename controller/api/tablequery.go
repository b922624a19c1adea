package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
)

// tableQuery is what a client of the table asks for.
type tableQuery struct {
	class     route.Class
	network   route.Network
	index     uint64
	indexed   bool          // whether index was given
	wait      time.Duration // 0: answer at once
	preferred bool          // whether wait came from the header Prefer
}

// waits reports whether the client has the table of pg and wants another one. An index or an entity tag of any other
// table, also of a newer one, is answered at once.
func (q *tableQuery) waits(r *http.Request, pg *page) bool {
	if q.wait <= 0 {
		return false
	}
	if q.indexed {
		return q.index == pg.of.Table.Generation.Number
	}
	return names(r.Header["If-None-Match"], pg.etag[0])
}

func readTableQuery(r *http.Request) (q tableQuery, wrong *problem) {
	v, wrong := query(r)
	if wrong != nil {
		return q, wrong
	}
	if q.class, wrong = v.class(); wrong != nil {
		return q, wrong
	}
	if q.network, wrong = v.network(); wrong != nil {
		return q, wrong
	}
	if q.wait, q.preferred = preferredWait(r.Header["Prefer"]); q.preferred {
		q.wait = min(q.wait, maxWait)
	}
	return q, q.readIndex(v)
}

// readIndex reads index and wait as Consul has them: index without wait waits for long.
func (q *tableQuery) readIndex(v values) *problem {
	index, wrong := v.one("index")
	if wrong != nil {
		return wrong
	}
	if index != "" {
		if q.index, q.indexed = parseIndex(index); !q.indexed {
			return bad("index", `want a number such as 42, got "`+clip(index)+`"`)
		}
		if !q.preferred {
			q.wait = maxWait
		}
	}
	wait, wrong := v.one("wait")
	if wrong != nil || wait == "" {
		return wrong
	}
	d, ok := parseWait(wait)
	if !ok {
		return bad("wait", `want a duration such as 30s, got "`+clip(wait)+`"`)
	}
	q.wait, q.preferred = min(d, maxWait), false
	return nil
}

// parseIndex reads the number of a generation, or a generation.
func parseIndex(s string) (uint64, bool) {
	if g, err := route.ParseGeneration(s); err == nil {
		return g.Number, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// parseWait reads a duration, or seconds without a unit.
func parseWait(s string) (time.Duration, bool) {
	if d, ok := seconds(s); ok {
		return d, true
	}
	d, err := route.ParseDuration(s)
	return d.D(), err == nil
}

// preferredWait finds wait in the values of the header Prefer (RFC 7240). Preferences that cannot be read do not exist,
// and of several the first counts.
func preferredWait(headers []string) (d time.Duration, found bool) {
	for _, h := range headers {
		for preference := range strings.SplitSeq(h, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			if d, ok := seconds(strings.Trim(strings.TrimSpace(value), `"`)); ok {
				return d, true
			}
		}
	}
	return 0, false
}

// seconds reads a whole number of seconds; more than a day is a day.
func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false
	}
	return time.Duration(min(n, 86400)) * time.Second, true
}
