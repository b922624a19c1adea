package api

import (
	"strconv"
	"sync"
	"sync/atomic"

	"signalbox/rules/route"
)

// page is a published table with the values of its headers made ready, so that an answer makes nothing new.
type page struct {
	of         *Published
	etag       []string
	generation []string
	index      []string
	signature  []string // nil where tables are not signed
	bodies     [codings]body
}

// body is the table in one content coding.
type body struct {
	bytes    []byte
	length   []string
	encoding []string // nil for the plain one
}

// coding is a content coding.
type coding int

const (
	codingPlain coding = iota
	codingGzip
	codingZstd
	codings
)

var codingNames = [codings]string{codingPlain: "identity", codingGzip: "gzip", codingZstd: "zstd"}

func newPage(p *Published) *page {
	g := p.Table.Generation
	pg := &page{
		of:         p,
		etag:       []string{etag(g)},
		generation: []string{g.String()},
		index:      []string{strconv.FormatUint(g.Number, 10)},
	}
	for c, b := range [codings][]byte{codingPlain: p.Plain, codingGzip: p.Gzip, codingZstd: p.Zstd} {
		if b != nil {
			pg.bodies[c] = body{bytes: b, length: []string{strconv.Itoa(len(b))}}
		}
		if b != nil && coding(c) != codingPlain {
			pg.bodies[c].encoding = []string{codingNames[c]}
		}
	}
	return pg
}

func etag(g route.Generation) string { return `"` + g.String() + `"` }

// maxPages bounds the pages of filtered views that are kept; beyond it they are made for each request.
const maxPages = 256

// pages keeps the page of the table in force, and those of its filtered views.
type pages struct {
	signer Signer // nil: tables are not signed
	last   atomic.Pointer[page]

	mu     sync.Mutex // guards what follows; a view is signed under it, once
	views  map[*Published]*page
	viewed route.Generation // that the views are of
}

// of returns the page of the table in force.
func (ps *pages) of(p *Published) *page {
	if pg := ps.last.Load(); pg != nil && pg.of == p {
		return pg
	}
	pg := ps.make(p)
	ps.last.Store(pg)
	return pg
}

// view returns the page of a filtered view.
func (ps *pages) view(p *Published) *page {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if g := p.Table.Generation; ps.views == nil || g != ps.viewed {
		ps.views, ps.viewed = map[*Published]*page{}, g
	}
	if pg := ps.views[p]; pg != nil {
		return pg
	}
	pg := ps.make(p)
	if len(ps.views) < maxPages {
		ps.views[p] = pg
	}
	return pg
}

func (ps *pages) make(p *Published) *page {
	pg := newPage(p)
	if ps.signer != nil {
		pg.signature = []string{ps.signer.Sign(p.Plain)}
	}
	return pg
}
