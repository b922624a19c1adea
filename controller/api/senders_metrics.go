package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// standings are the values of the label state.
var standings = []string{"current", "behind", "refused", "silent"}

// sendersCollector tells how senders stand when it is asked. Their names are no labels: there may be thousands.
type sendersCollector struct {
	senders Senders
	count   *prometheus.Desc
	behind  *prometheus.Desc
}

func newSendersCollector(s Senders) *sendersCollector {
	return &sendersCollector{
		senders: s,
		count: prometheus.NewDesc("signalbox_senders",
			"Senders that have told of themselves, by how they stand beside the table in force.", []string{"state"}, nil),
		behind: prometheus.NewDesc("signalbox_sender_behind_seconds",
			"The longest that a sender which is not silent has not confirmed the table in force; 0 where all run it.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *sendersCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.count
	ch <- c.behind
}

// Collect implements prometheus.Collector.
func (c *sendersCollector) Collect(ch chan<- prometheus.Metric) {
	count, behind := map[string]int{}, 0.0
	for _, s := range c.senders.Standings(time.Now()) {
		count[s.Standing]++
		if s.Standing != "silent" {
			behind = max(behind, s.Behind)
		}
	}
	for _, state := range standings {
		ch <- prometheus.MustNewConstMetric(c.count, prometheus.GaugeValue, float64(count[state]), state)
	}
	ch <- prometheus.MustNewConstMetric(c.behind, prometheus.GaugeValue, behind)
}
