package receipts

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of a call, as a closed set.
const (
	outcomeTaken     = "taken"
	outcomeMalformed = "malformed" // 4xx: it is not what the format says
	outcomeForbidden = "forbidden" // its signature does not hold
	outcomeBusy      = "busy"      // it could not be taken now
)

type metrics struct {
	calls *prometheus.CounterVec // by format and outcome
}

// newMetrics registers the metrics; a nil registerer is none.
func newMetrics(r prometheus.Registerer, formats map[string]Format) (*metrics, error) {
	m := &metrics{calls: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signalbox_receipts_calls_total", Help: "Calls of providers' webhooks, by format and outcome.",
	}, []string{"format", "outcome"})}
	for name := range formats {
		for _, outcome := range []string{outcomeTaken, outcomeMalformed, outcomeForbidden, outcomeBusy} {
			m.calls.WithLabelValues(name, outcome)
		}
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m.calls)
}
