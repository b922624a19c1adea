package story

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// terms are what a line says of how messages fare. What they do not name stays as it was.
type terms struct {
	fresh     bool // healthy: first everything is as it was at the beginning
	delivered *float64
	failed    *float64
	refused   *float64
	throttled *float64
	timeouts  *float64
	converted *float64
	forged    bool
	delay     *scenario.DelayCurve
	latency   *time.Duration
	receipts  receipts
	count     int
}

// receipts is what becomes of receipts on their way back.
type receipts struct {
	said  bool
	lost  bool
	pause time.Duration // they are held back so long, and come all at once
	batch time.Duration
}

// terms reads what is left of a line.
func (w *words) terms() terms {
	var t terms
	for seen := map[string]bool{}; w.peek() != ""; t.count++ {
		x := w.next()
		if seen[x.text] {
			w.wrong(x, "each word once")
		}
		seen[x.text] = true
		w.term(&t, x)
	}
	t.check(w)
	return t
}

func (w *words) term(t *terms, x word) {
	switch x.text {
	case "healthy":
		t.fresh = true
		if t.count > 0 {
			w.wrong(x, "healthy as the first word, as it takes back what stands before it")
		}
	case "delivered":
		t.delivered = ptr(w.share())
	case "failed":
		t.failed = ptr(w.share())
	case "converted":
		t.converted = ptr(w.share())
	case "swallows":
		t.delivered, t.failed = ptr(0.0), ptr(0.0)
	case "refuses":
		w.refusal(t)
	case "throttles":
		t.throttled = ptr(w.shareOr(1))
	case "times":
		w.expect("out")
		t.timeouts = ptr(w.shareOr(1))
	case "forges":
		w.expect("receipts")
		t.forged = true
	case "delay":
		t.delay = ptr(w.delay())
	case "answers":
		w.expect("in")
		t.latency = ptr(w.duration(time.Millisecond, time.Minute))
	case "receipts":
		w.receipts(&t.receipts)
	default:
		w.wrong(x, list(termWords), termWords...)
	}
}

func ptr[T any](v T) *T { return &v }

// shareOr is a share, or all where none stands there.
func (w *words) shareOr(otherwise float64) float64 {
	if w.isShare() {
		return w.share()
	}
	return otherwise
}

// refusal reads "80% code 0x58". The code says whose fault it is; without one it is the route's.
func (w *words) refusal(t *terms) {
	share := w.shareOr(1)
	if !w.take("code") {
		t.refused = &share
		return
	}
	x := w.next()
	code, err := strconv.ParseUint(x.text, 0, 32)
	if err != nil || code == 0 {
		w.wrong(x, "a command_status of SMPP, such as 0x58")
		return
	}
	switch route.FaultOfStatus(uint32(code)) {
	case route.FaultCapacity:
		t.throttled = &share
	case route.FaultRoute:
		t.refused = &share
	default:
		w.wrong(x, "a command_status that is the route's fault or says that it is too much, such as 0x08 or 0x58")
	}
}

// delay reads how late receipts are: "4s" half of them, as spread as usual; "4s..40s" half of them and 95 % of them; "x3"
// three times as late as usual.
func (w *words) delay() scenario.DelayCurve {
	curve := scenario.UsualDelay()
	x := w.next()
	if factor, ok := strings.CutPrefix(x.text, "x"); ok {
		f, err := strconv.ParseFloat(factor, 64)
		if err != nil || !(f > 0 && f <= 1000) {
			w.wrong(x, "a factor such as x3, above 0 and at most 1000")
		}
		curve.Factor = f
		return curve
	}
	from, to, two := strings.Cut(x.text, "..")
	half, err := route.ParseDuration(from)
	most, err2 := route.ParseDuration(to)
	switch {
	case err != nil || half <= 0 || half.D() > longestDelay || two && to != "" && (err2 != nil || most <= half || most.D() > longestDelay):
		w.wrong(x, fmt.Sprintf("a delay such as 4s (half of the receipts), 4s..40s (half, and 95%% of them) or x3, up to %s", route.Duration(longestDelay)))
	case two && to != "":
		sigma := math.Log(most.D().Seconds()/half.D().Seconds()) / normal95
		return scenario.DelayCurve{Parts: []scenario.Delay{{Weight: 1, Median: half.D(), Sigma: sigma}}}
	default:
		curve.Factor = half.D().Seconds() / usualHalf
	}
	return curve
}

const (
	longestDelay = 24 * time.Hour
	usualHalf    = 5.0               // seconds in which half of the usual receipts are back
	normal95     = 1.644853626951473 // the standard normal quantile of 95 %
)

func (w *words) receipts(r *receipts) {
	r.said = true
	switch x := w.next(); x.text {
	case "lost":
		r.lost = true
	case "pause":
		r.pause = w.duration(time.Second, 24*time.Hour)
	case "batch":
		r.batch = w.duration(time.Second, time.Hour)
	case "come":
	default:
		w.wrong(x, "receipts lost, receipts pause 5m, receipts batch 30s or receipts come", "lost", "pause", "batch", "come")
	}
}

// check says which shares are together more than there is.
func (t *terms) check(w *words) {
	sum := func(of ...*float64) {
		total := 0.0
		for _, f := range of {
			total += value(f)
		}
		if total > 1+1e-9 && !w.bad {
			w.bad = true
			w.value.Say("want shares of at most 100%% together, got %s", percent(int(math.Round(total*route.FullShare))))
		}
	}
	sum(t.delivered, t.failed)
	sum(t.refused, t.throttled, t.timeouts)
}

func value(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

// apply changes a health by the terms, at a moment. What is delivered and what fails make room for each other: the one
// that the line does not name gives way.
func (t *terms) apply(h, normal scenario.Health, now time.Time) scenario.Health {
	if t.fresh {
		h = normal
	}
	if t.forged {
		h.Forged, h.Delivered, h.Failed = true, 0, 0
	}
	set(&h.Delivered, t.delivered)
	set(&h.Failed, t.failed)
	if t.failed == nil {
		h.Failed = min(h.Failed, 1-h.Delivered)
	}
	h.Delivered = min(h.Delivered, 1-h.Failed)
	set(&h.Refused, t.refused)
	set(&h.Throttled, t.throttled)
	set(&h.Timeouts, t.timeouts)
	set(&h.Conversion, t.converted)
	set(&h.Delay, t.delay)
	set(&h.Latency, t.latency)
	if t.receipts.said {
		h.Silenced, h.Batch, h.Held = t.receipts.lost, t.receipts.batch, time.Time{}
		if t.receipts.pause > 0 {
			h.Held = now.Add(t.receipts.pause)
		}
	}
	return h
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}
