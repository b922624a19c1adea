package ingest

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
)

// types are the words of the interface for what a line can be, by kind.
var types = [...]string{
	route.KindSubmit: "submit", route.KindReceipt: "receipt", route.KindConversion: "conversion",
	route.KindProbe: "probe", route.KindHeartbeat: "heartbeat", route.KindBaseline: "baseline",
}

var reasons = []Reason{ReasonLength, ReasonSyntax, ReasonType, ReasonField, ReasonRoute, ReasonClock}

type metrics struct {
	events  [len(types)]prometheus.Counter // by kind; nil for the kinds that no line has
	refused map[Reason]prometheus.Counter
	bytes   prometheus.Histogram
}

// newMetrics registers the metrics; those about messages are read from the joiner. A nil registerer is none.
func newMetrics(r prometheus.Registerer, j *Joiner) (*metrics, error) {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signalbox_events_total", Help: "Observations taken, by type.",
	}, []string{"type"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signalbox_events_refused_total", Help: "Observations refused, by reason.",
	}, []string{"reason"})
	m := &metrics{refused: make(map[Reason]prometheus.Counter), bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "signalbox_events_batch_bytes", Help: "Size of the batches of observations, decompressed.",
		Buckets: prometheus.ExponentialBuckets(256, 4, 9),
	})}
	for kind, name := range types {
		if name != "" {
			m.events[kind] = events.WithLabelValues(name)
		}
	}
	for _, reason := range reasons {
		m.refused[reason] = refused.WithLabelValues(string(reason))
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range append(joinerMetrics(j), events, refused, m.bytes) {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func joinerMetrics(j *Joiner) []prometheus.Collector {
	counter := func(name, help string, value func(JoinerStats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(j.Stats())) })
	}
	gauge := func(name, help string, value func(JoinerStats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value(j.Stats())) })
	}
	return []prometheus.Collector{
		counter("signalbox_receipts_unmatched_total", "Receipts and conversions whose submit was never seen.",
			func(s JoinerStats) uint64 { return s.Unmatched }),
		counter("signalbox_events_duplicate_total", "Observations that had been counted before.",
			func(s JoinerStats) uint64 { return s.Duplicates }),
		counter("signalbox_receipts_contradicting_total", "Receipts with another final status than the first one.",
			func(s JoinerStats) uint64 { return s.Contradictions }),
		counter("signalbox_messages_evicted_total", "Messages forgotten before their final status, for their number or age.",
			func(s JoinerStats) uint64 { return s.Evicted }),
		gauge("signalbox_messages_open", "Messages accepted and without a final status.",
			func(s JoinerStats) int { return s.Open }),
	}
}
