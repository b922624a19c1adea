package api

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	requests *prometheus.CounterVec   // handler, code, method
	duration *prometheus.HistogramVec // handler
	waiting  prometheus.Gauge
	panics   prometheus.Counter
	refused  *prometheus.CounterVec // reason
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_http_requests_total",
			Help: "HTTP requests answered.",
		}, []string{"handler", "code", "method"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "signalbox_http_request_duration_seconds",
			Help:    "Time to answer HTTP requests; those that waited for a new table are apart, as handler routes_wait.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 15, 30, 65},
		}, []string{"handler"}),
		waiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_http_waiting_requests",
			Help: "HTTP requests that wait for a new table now.",
		}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_http_panics_total",
			Help: "HTTP requests that ended in a panic.",
		}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_http_refused_total",
			Help: "HTTP requests that were not let in, by why.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{reasonUnknown, reasonRole, reasonName, reasonSignature, reasonOrigin} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// methodLabel keeps the label method a closed set.
func methodLabel(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH":
		return m
	}
	return "other"
}
