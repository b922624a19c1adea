package ingest

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"signalbox/rules/route"
)

// builder returns how an observation of the line's type is made from its fields, or nil where the type is not known.
// Builders answer false after they have said why.
func (d *Decoder) builder() func(*Decoder, *route.Observation) bool {
	b, ok := d.text(fieldType)
	if !ok {
		return nil
	}
	switch string(b) {
	case "submit":
		return (*Decoder).submit
	case "receipt":
		return (*Decoder).receipt
	case "conversion":
		return (*Decoder).conversion
	case "probe":
		return (*Decoder).probe
	case "heartbeat":
		return (*Decoder).heartbeat
	case "baseline":
		return (*Decoder).baseline
	}
	return nil
}

func (d *Decoder) submit(o *route.Observation) bool {
	o.Kind = route.KindSubmit
	if !(d.when(o) && d.id(o) && d.route(o) && d.class(o) && d.network(o) &&
		d.result(o) && d.code(o) && d.latency(o) && d.from(o)) {
		return false
	}
	d.generation(o)
	if o.Result == route.Refused {
		o.Fault = faultOf(o.Code)
	}
	return true
}

func (d *Decoder) receipt(o *route.Observation) bool {
	o.Kind = route.KindReceipt
	return d.when(o) && d.route(o) && d.status(o) && d.id(o) && d.origin(o) && d.code(o) && d.from(o)
}

func (d *Decoder) conversion(o *route.Observation) bool {
	o.Kind = route.KindConversion
	return d.when(o) && d.route(o) && d.id(o) && d.origin(o) && d.from(o)
}

func (d *Decoder) probe(o *route.Observation) bool {
	o.Kind = route.KindProbe
	if !(d.when(o) && d.route(o) && d.name(fieldProbe, "a kind of probe such as bind", &o.Probe) && d.truth(fieldOK, &o.OK)) {
		return false
	}
	if d.has(fieldNetwork) && !d.network(o) {
		return false
	}
	if d.has(fieldSent) && !d.time(fieldSent, &o.Sent) {
		return false
	}
	return d.code(o) && d.latency(o) && d.from(o)
}

func (d *Decoder) heartbeat(o *route.Observation) bool {
	o.Kind = route.KindHeartbeat
	if !d.when(o) || !d.from(o) {
		return false
	}
	if o.Source == "" {
		return d.want(fieldSource, wantSource)
	}
	return d.routes(o)
}

func (d *Decoder) baseline(o *route.Observation) bool {
	o.Kind = route.KindBaseline
	if !(d.when(o) && d.route(o) && d.class(o) && d.network(o) && d.from(o)) {
		return false
	}
	b := &route.Baseline{}
	if !(d.number(fieldDelivered, &b.Delivered) && d.number(fieldFailed, &b.Failed) &&
		d.number(fieldConversion, &b.Conversion) && d.number(fieldMessages, &b.Messages) &&
		d.numbers(fieldAges, &b.Ages) && d.numbers(fieldCDF, &b.CDF) && d.numbers(fieldConversionCDF, &b.ConversionCDF)) {
		return false
	}
	if err := b.Check(); err != nil {
		d.why = err.Error()
		return false
	}
	o.Baseline = b
	return true
}

// want says what was wanted of a field and what came; it answers false for its callers to return.
func (d *Decoder) want(f field, what string) bool {
	d.why = fmt.Sprintf("%s: want %s, got %s", fieldNames[f], what, d.scanner.got(f))
	return false
}

// has reports whether the line has the field, with another value than null.
func (d *Decoder) has(f field) bool { return d.scanner.set&(1<<f) != 0 }

// text is the content of a field that is a text.
func (d *Decoder) text(f field) (b []byte, ok bool) {
	if !d.has(f) {
		return nil, false
	}
	return d.scanner.bytes(d.scanner.tok[f])
}

func (d *Decoder) name(f field, what string, to *string) bool {
	b, ok := d.text(f)
	if !ok || !isName(b) {
		return d.want(f, what)
	}
	*to = d.names.intern(f, b)
	return true
}

const (
	wantRoute  = "a route id"
	wantSource = "the name of a source such as gw-1"
)

func (d *Decoder) route(o *route.Observation) bool {
	return d.name(fieldRoute, wantRoute, (*string)(&o.Route))
}

func (d *Decoder) class(o *route.Observation) bool {
	return d.name(fieldClass, "a class such as otp", (*string)(&o.Class))
}

func (d *Decoder) network(o *route.Observation) bool {
	b, ok := d.text(fieldNetwork)
	if ok {
		_, err := route.ParseNetwork(alias(b))
		ok = err == nil
	}
	if !ok {
		return d.want(fieldNetwork, `a network such as "234-15", a country such as "GB", or "*"`)
	}
	o.Network = route.Network(d.names.intern(fieldNetwork, b))
	return true
}

// from reads the source; the one that the decoder was told goes before the line's.
func (d *Decoder) from(o *route.Observation) bool {
	if d.source != "" {
		o.Source = d.source
		return true
	}
	return !d.has(fieldSource) || d.name(fieldSource, wantSource, &o.Source)
}

// id reads the message id; one that is a phone number is used as its hash only.
func (d *Decoder) id(o *route.Observation) bool {
	b, ok := d.text(fieldID)
	if !ok || len(b) == 0 || len(b) > maxID {
		return d.want(fieldID, "a message id of 1 to 256 bytes")
	}
	if isPhone(b) {
		b = d.hash(b)
	}
	o.Message = alias(b)
	return true
}

func (d *Decoder) hash(b []byte) []byte {
	sum := xxhash.Sum64(b)
	buf := append(d.hashed[:0], 'h', ':')
	for shift := 56; shift >= 0; shift -= 8 {
		buf = hex.AppendEncode(buf, []byte{byte(sum >> shift)})
	}
	return buf
}

// isPhone reports whether b is a phone number in full: a plus sign and 8 to 15 digits, as in ITU-T E.164.
func isPhone(b []byte) bool {
	return len(b) >= 9 && len(b) <= 16 && b[0] == '+' && digits(b[1:]) == len(b)-1
}

// code reads the carrier's error code, where there is one. A number is kept as it was written; a phone number is not
// kept.
func (d *Decoder) code(o *route.Observation) bool {
	if !d.has(fieldCode) {
		return true
	}
	t := d.scanner.tok[fieldCode]
	b, ok := d.scanner.bytes(t)
	if t.shape == shapeNumber {
		b, ok = d.scanner.raw(t), true
	}
	if !ok || len(b) > maxCode || !printable(b) {
		return d.want(fieldCode, "a code of at most 32 bytes")
	}
	if !isPhone(b) {
		o.Code = d.names.intern(fieldCode, b)
	}
	return true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

func (d *Decoder) result(o *route.Observation) bool {
	if !d.has(fieldResult) {
		return true
	}
	b, _ := d.text(fieldResult)
	switch string(b) {
	case "accepted":
		o.Result = route.Accepted
	case "refused":
		o.Result = route.Refused
	case "timeout":
		o.Result = route.TimedOut
	default:
		return d.want(fieldResult, "accepted, refused or timeout")
	}
	return true
}

// generation reads which table the sender says it used. What is no generation is passed over: it says nothing of the route.
func (d *Decoder) generation(o *route.Observation) {
	if b, ok := d.text(fieldGeneration); ok {
		o.Used, _ = route.ParseGeneration(alias(b))
	}
}

func (d *Decoder) status(o *route.Observation) bool {
	b, _ := d.text(fieldStatus)
	s, ok := route.ParseStatus(alias(b))
	if !ok {
		return d.want(fieldStatus, "delivered, failed, expired, rejected, accepted, enroute or unknown")
	}
	o.Status = s
	return true
}

func (d *Decoder) truth(f field, to *bool) bool {
	if !d.has(f) {
		return d.want(f, "true or false")
	}
	switch d.scanner.tok[f].shape {
	case shapeTrue:
		*to = true
	case shapeFalse:
		*to = false
	default:
		return d.want(f, "true or false")
	}
	return true
}

// origin reads the key and the submit time that a receipt or a conversion may carry, all together.
func (d *Decoder) origin(o *route.Observation) bool {
	const all = 1<<fieldClass | 1<<fieldNetwork | 1<<fieldSubmitTime
	switch d.scanner.set & all {
	case 0:
		return true
	case all:
		return d.class(o) && d.network(o) && d.time(fieldSubmitTime, &o.Submitted)
	}
	missing := fieldSubmitTime
	for _, f := range []field{fieldNetwork, fieldClass} {
		if !d.has(f) {
			missing = f
		}
	}
	return d.want(missing, "class, network and submit_time together, or none of them")
}

func (d *Decoder) when(o *route.Observation) bool { return d.time(fieldTime, &o.Time) }

func (d *Decoder) time(f field, to *time.Time) bool {
	var sec, nsec int64
	var ok bool
	t := d.scanner.tok[f]
	switch b, isText := d.text(f); {
	case isText:
		sec, nsec, ok = rfc3339(b)
	case d.has(f) && t.shape == shapeNumber:
		if sec, nsec, ok = seconds(d.scanner.raw(t)); !ok {
			return d.notNow(f)
		}
	}
	if !ok {
		return d.want(f, "a time of RFC 3339 or Unix seconds")
	}
	if sec < firstSecond || sec > lastSecond {
		return d.notNow(f)
	}
	*to = time.Unix(sec, nsec).UTC()
	return true
}

// notNow refuses a time outside the bounds, and knows the usual cause.
func (d *Decoder) notNow(f field) bool {
	d.want(f, "a time between the years 2000 and 2100")
	t := d.scanner.tok[f]
	if sec, _, ok := seconds(millisecondsOf(d.scanner.raw(t))); t.shape == shapeNumber && ok && sec >= firstSecond && sec <= lastSecond {
		d.why += " (milliseconds? seconds are wanted)"
	}
	return false
}

// millisecondsOf cuts a number of milliseconds to its seconds; "0" where it cannot be one.
func millisecondsOf(b []byte) []byte {
	if n := digits(b); n > 3 {
		return b[:n-3]
	}
	return []byte("0")
}

const maxLatency = 24 * time.Hour

func (d *Decoder) latency(o *route.Observation) bool {
	if !d.has(fieldLatency) {
		return true
	}
	const what = "seconds from 0 to 86400"
	t := d.scanner.tok[fieldLatency]
	if t.shape != shapeNumber {
		return d.want(fieldLatency, what)
	}
	sec, nsec, ok := seconds(d.scanner.raw(t))
	v := time.Duration(sec)*time.Second + time.Duration(nsec)
	if !ok || sec > int64(maxLatency/time.Second) || v < 0 || v > maxLatency {
		return d.want(fieldLatency, what)
	}
	o.Latency = v
	return true
}

// number reads a finite number; where the field is absent it stays 0.
func (d *Decoder) number(f field, to *float64) bool {
	if !d.has(f) {
		return true
	}
	v, ok := d.float(d.scanner.tok[f])
	if !ok {
		return d.want(f, "a number")
	}
	*to = v
	return true
}

func (d *Decoder) float(t token) (float64, bool) {
	if t.shape != shapeNumber {
		return 0, false
	}
	v, err := strconv.ParseFloat(alias(d.scanner.raw(t)), 64)
	return v, err == nil
}

// numbers reads a list of finite numbers; where the field is absent it stays empty.
func (d *Decoder) numbers(f field, to *[]float64) bool {
	if !d.has(f) {
		return true
	}
	n := 0
	return d.each(f, maxAges, "a list of numbers", func(t token) bool {
		v, ok := d.float(t)
		if !ok {
			d.why = fmt.Sprintf("%s[%d]: want a number, got %s", fieldNames[f], n, d.scanner.show(t))
			return false
		}
		n++
		*to = append(*to, v)
		return true
	})
}

// routes reads the routes of a heartbeat. The list is the observation's own.
func (d *Decoder) routes(o *route.Observation) bool {
	o.Routes = []route.ID{}
	return d.each(fieldRoutes, maxRoutes, "a list of route ids", func(t token) bool {
		b, ok := d.scanner.bytes(t)
		if !ok || !isName(b) {
			d.why = fmt.Sprintf("routes[%d]: want %s, got %s", len(o.Routes), wantRoute, d.scanner.show(t))
			return false
		}
		o.Routes = append(o.Routes, route.ID(d.names.intern(fieldRoutes, b)))
		return true
	})
}

// each calls do with every element of a list of at most limit elements, until one answers false.
func (d *Decoder) each(f field, limit int, what string, do func(token) bool) bool {
	if !d.has(f) || d.scanner.tok[f].shape != shapeList {
		return d.want(f, what)
	}
	// The list has been scanned once and is known to be well formed, so this scanner cannot fail.
	s := &d.scanner
	pos := s.pos
	defer func() { s.pos = pos }()
	s.pos = int(s.tok[f].lo) + 1
	for n := 0; s.next() != ']'; n++ {
		if n == limit {
			d.why = fmt.Sprintf("%s: want at most %d elements, got more", fieldNames[f], limit)
			return false
		}
		t, _ := s.value(2)
		if !do(t) {
			return false
		}
		if s.next() == ',' {
			s.pos++
		}
	}
	return true
}
