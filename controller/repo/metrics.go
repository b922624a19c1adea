package repo

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	success  prometheus.Gauge
	looks    prometheus.Counter
	errors   prometheus.Counter
	refusals *prometheus.CounterVec // why
	duration prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	m := &metrics{
		success: f.NewGauge(prometheus.GaugeOpts{Name: "signalbox_policy_git_last_success_timestamp_seconds",
			Help: "When the policy's repository last answered; 0 until it has."}),
		looks: f.NewCounter(prometheus.CounterOpts{Name: "signalbox_policy_git_looks_total",
			Help: "Looks at the policy's repository that it answered."}),
		errors: f.NewCounter(prometheus.CounterOpts{Name: "signalbox_policy_git_fetch_errors_total",
			Help: "Looks at the policy's repository, and fetches from it, that failed; the last good policy stays."}),
		refusals: f.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_policy_git_refused_commits_total",
			Help: "Commits that were fetched and must not be used, by why: signature, content or policy."}, []string{"why"}),
		duration: f.NewHistogram(prometheus.HistogramOpts{Name: "signalbox_policy_git_fetch_duration_seconds",
			Help: "Time to fetch a commit.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 11)}),
	}
	for _, why := range []string{whySignature, whyContent, whyPolicy} {
		m.refusals.WithLabelValues(why)
	}
	return m
}

func (m *metrics) looked(now time.Time) {
	m.looks.Inc()
	m.success.Set(float64(now.UnixMilli()) / 1000)
}

func (m *metrics) refuse(err error) {
	var r *Refusal
	if errors.As(err, &r) {
		m.refusals.WithLabelValues(r.why).Inc()
	}
}
