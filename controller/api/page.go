package api

import (
	"strconv"
	"sync/atomic"

	"signalbox/rules/route"
)

// page is a published table with the values of its headers made ready, so that an answer makes nothing new.
type page struct {
	of         *Published
	etag       []string
	generation []string
	index      []string
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

// pages keeps the page of the table in force. Pages of filtered views are made for each request.
type pages struct {
	last atomic.Pointer[page]
}

// of returns the page of the table in force.
func (ps *pages) of(p *Published) *page {
	if pg := ps.last.Load(); pg != nil && pg.of == p {
		return pg
	}
	pg := newPage(p)
	ps.last.Store(pg)
	return pg
}
