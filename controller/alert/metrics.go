package alert

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what alerts tell of themselves. The receivers are those of the settings, which bounds the label.
type metrics struct {
	deliveries *prometheus.CounterVec // receiver, result
}

func newMetrics(r prometheus.Registerer, a *Alerts) *metrics {
	m := &metrics{deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_alert_deliveries_total",
		Help: "Deliveries to a receiver, by result: delivered; failed, to be tried again; gone, as it answered 410; given_up after 75 hours; dropped, as too many waited."}, []string{"receiver", "result"})}
	if r != nil {
		r.MustRegister(m.deliveries, newCollector(a))
	}
	return m
}

// begin makes the counters of receivers, so that they are there before anything happens.
func (m *metrics) begin(receivers []string) {
	for _, name := range receivers {
		for _, result := range results {
			m.deliveries.WithLabelValues(name, result)
		}
	}
}

// forget drops the counters of receivers that the next setup does not have.
func (m *metrics) forget(t *team, next *Setup) {
	for _, r := range t.receivers() {
		if !slices.Contains(next.Receivers(), r.Name) {
			m.deliveries.DeletePartialMatch(prometheus.Labels{"receiver": r.Name})
		}
	}
}

// collector tells how receivers stand when it is asked.
type collector struct {
	a                                  *Alerts
	waiting, oldest, disabled, holding *prometheus.Desc
}

func newCollector(a *Alerts) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &collector{a: a,
		waiting:  desc("signalbox_alert_waiting", "Events that a webhook has not taken yet.", "receiver"),
		oldest:   desc("signalbox_alert_oldest_seconds", "Age of the oldest event that a webhook has not taken yet; 0 where none waits.", "receiver"),
		disabled: desc("signalbox_alert_disabled", "Whether a webhook is told nothing more, because it answered 410.", "receiver"),
		holding:  desc("signalbox_alerts_firing", "Alerts that hold now, the watchdog among them."),
	}
}

// Describe sends the descriptions.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.waiting, c.oldest, c.disabled, c.holding} {
		to <- d
	}
}

// Collect sends the values of now.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if c.a.team.Load() == nil {
		return // it is being made
	}
	for _, r := range c.a.receivers() {
		if r.Kind != "webhook" {
			continue
		}
		age, off := 0.0, 0.0
		if !r.Oldest.IsZero() {
			age = max(0, time.Since(r.Oldest).Seconds())
		}
		if r.Disabled {
			off = 1
		}
		gauge(c.waiting, float64(r.Waiting), r.Name)
		gauge(c.oldest, age, r.Name)
		gauge(c.disabled, off, r.Name)
	}
	firing, _ := c.a.watch.now()
	gauge(c.holding, float64(len(firing)))
}
