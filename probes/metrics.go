package probes

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what schedules do. It outlives them: a reload makes a new schedule with the same Metrics. A nil one counts
// nothing.
type Metrics struct {
	looks    *prometheus.CounterVec
	stopped  *prometheus.GaugeVec
	collects *prometheus.CounterVec
	dropped  prometheus.Counter
}

// NewMetrics returns metrics, registered where r is not nil.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_probe_looks_total",
			Help: "Looks of probes at routes, by how they went: ok, failed, or none where nothing could be looked at."}, []string{"route", "way", "outcome"}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_probe_stopped",
			Help: "1 where a probe does not look any more until its configuration is mended and loaded anew."}, []string{"route", "way"}),
		collects: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_collections_total",
			Help: "Collections from other systems, by how they went: ok, or failed where something was missing."}, []string{"way", "name", "outcome"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_probe_observations_dropped_total",
			Help: "Observations of probes that nobody took for too long."}),
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m)
}

// Describe gives the descriptions of the metrics.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range [...]prometheus.Collector{m.looks, m.stopped, m.collects, m.dropped} {
		c.Describe(ch)
	}
}

// Collect gives the metrics.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range [...]prometheus.Collector{m.looks, m.stopped, m.collects, m.dropped} {
		c.Collect(ch)
	}
}

// expect says that a task is there, so that it shows before it has looked.
func (m *Metrics) expect(t Task) {
	if m != nil {
		m.stopped.WithLabelValues(string(t.Route), t.Way).Set(0)
	}
}

// forget says that a task is no longer there.
func (m *Metrics) forget(t Task) {
	if m != nil {
		m.stopped.DeleteLabelValues(string(t.Route), t.Way)
	}
}

func (m *Metrics) looked(t *task, bad bool, err error) {
	if m == nil {
		return
	}
	outcome := "ok"
	switch {
	case err != nil:
		outcome = "none"
	case bad:
		outcome = "failed"
	}
	m.looks.WithLabelValues(string(t.Route), t.Way, outcome).Inc()
}

func (m *Metrics) stop(t *task) {
	if m != nil {
		m.stopped.WithLabelValues(string(t.Route), t.Way).Set(1)
	}
}

func (m *Metrics) gathered(g Gathering, err error) {
	if m == nil {
		return
	}
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.collects.WithLabelValues(g.Way, g.Name, outcome).Inc()
}

func (m *Metrics) drop(n int) {
	if m != nil {
		m.dropped.Add(float64(n))
	}
}
