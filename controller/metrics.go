package controller

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// metrics are what the loop tells of itself, and, read from the last round, of every route in every lane. Labels come
// from the policy, which bounds them.
type metrics struct {
	round        prometheus.Histogram
	decisions    *prometheus.CounterVec
	commitErrors prometheus.Counter
	jumps        prometheus.Counter
	full         prometheus.Counter
	orders       *prometheus.CounterVec
	reloads      *prometheus.CounterVec
	reloadOK     prometheus.Gauge
	reloadAt     prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, c *Controller) *metrics {
	m := &metrics{
		round: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "signalbox_round_duration_seconds", Help: "Time to judge every lane once, commit and publish.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		decisions:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_decisions_total", Help: "Decisions recorded, by reason and by whether they were enforced."}, []string{"reason", "enforced"}),
		commitErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_store_commit_errors_total", Help: "Changes that could not be made durable and so were not made."}),
		jumps:        prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_clock_jumps_total", Help: "Jumps of the wall clock, each of which holds changes for a minute."}),
		full:         prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_queue_full_total", Help: "Batches of observations that the queue had no room for."}),
		orders:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_orders_total", Help: "Orders of operators, by result: done, refused or not_stored."}, []string{"result"}),
		reloads:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_policy_reloads_total", Help: "Loads of the policy, by result."}, []string{"result"}),
		reloadOK:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_policy_last_reload_successful", Help: "Whether the last load of the policy succeeded."}),
		reloadAt:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_policy_last_reload_success_timestamp_seconds", Help: "When the policy was last loaded."}),
	}
	if r != nil {
		r.MustRegister(m.round, m.decisions, m.commitErrors, m.jumps, m.full, m.orders, m.reloads, m.reloadOK, m.reloadAt, newViewCollector(c))
	}
	return m
}

func (m *metrics) decided(d *route.Decision) {
	m.decisions.WithLabelValues(string(d.Reason), strconv.FormatBool(d.Enforced)).Inc()
}

func (m *metrics) ordered(result string) { m.orders.WithLabelValues(result).Inc() }

func (m *metrics) reloaded(ok bool, now time.Time) {
	if !ok {
		m.reloads.WithLabelValues("refused").Inc()
		m.reloadOK.Set(0)
		return
	}
	m.reloads.WithLabelValues("accepted").Inc()
	m.reloadOK.Set(1)
	m.reloadAt.Set(float64(now.Unix()))
}

// viewCollector tells of the last round when it is asked.
type viewCollector struct {
	c                        *Controller
	all                      []*prometheus.Desc
	gen                      *prometheus.Desc
	info                     *prometheus.Desc
	waiting                  *prometheus.Desc
	share                    *prometheus.Desc
	phase                    *prometheus.Desc
	keys                     *prometheus.Desc
	unused                   *prometheus.Desc
	spend, unpriced, changed *prometheus.Desc
	perLane                  []laneGauge
}

// laneGauge is one number of a route in a lane; ok is false where it is not known.
type laneGauge struct {
	desc *prometheus.Desc
	read func(*route.Signals) (v float64, ok bool)
}

func newViewCollector(c *Controller) *viewCollector {
	v := &viewCollector{c: c}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc(name, help, labels, nil)
		v.all = append(v.all, d)
		return d
	}
	lane := func(name, help string, read func(*route.Signals) (float64, bool)) {
		v.perLane = append(v.perLane, laneGauge{desc(name, help, "class", "network", "route"), read})
	}
	v.gen = desc("signalbox_table_generation", "Number of the table in force.", "epoch")
	v.info = desc("signalbox_policy_info", "The policy in force; always 1.", "revision")
	v.waiting = desc("signalbox_queue_observations", "Observations that wait for the loop.")
	v.share = desc("signalbox_route_share_ratio", "Share of the lane's traffic that the table gives the route, 0 to 1.", "class", "network", "route")
	v.phase = desc("signalbox_route_phase", "1 for the phase that the route is in, 0 for the others.", "class", "network", "route", "phase")
	v.keys = desc("signalbox_keys", "Routes, classes and networks that cohorts are kept of.")
	v.unused = desc("signalbox_observations_unused_total", "Observations that were taken and could not be judged, by why: a class or network of no lane, too many keys, a submit too late, a cohort too old, an open message forgotten.", "why")
	v.spend = desc("signalbox_spend_total", "List price of the messages that routes accepted, in units of the currency, since the process began. A float by nature: /api/v1/prices has the exact amounts.", "class", "network", "route", "currency")
	v.unpriced = desc("signalbox_messages_unpriced_total", "Messages that routes without a price accepted, since the process began.", "class", "network", "route")
	v.changed = desc("signalbox_changes_cost", "What the messages of this UTC day that were submitted under changes cost more than they would have cost while all is well, in units of the currency; negative where money was saved.", "class", "network", "currency")
	lane("signalbox_route_submits_per_second", "Submits a second over the last minute.", func(s *route.Signals) (float64, bool) { return s.Rate, s.Submit.Known })
	lane("signalbox_route_signal_known", "Whether delivery can be judged.", func(s *route.Signals) (float64, bool) { return boolean(s.Delivery.Known), true })
	lane("signalbox_route_delivery_ratio", "Estimated share of messages that will end delivered, 0 to 1.", func(s *route.Signals) (float64, bool) { return s.Delivery.Ratio, s.Delivery.Known })
	lane("signalbox_route_delivery_baseline_ratio", "The share that is normal, 0 to 1.", func(s *route.Signals) (float64, bool) { return s.Delivery.Baseline, s.Delivery.Known })
	lane("signalbox_route_delivery_evidence_nats", "Evidence that delivery is worse than normal.", func(s *route.Signals) (float64, bool) { return s.Delivery.Evidence, s.Delivery.Known })
	lane("signalbox_route_delivery_recovered_nats", "Evidence that a demoted route is healthy again.", func(s *route.Signals) (float64, bool) { return s.Delivery.Recovered, s.Delivery.Known })
	lane("signalbox_route_conversion_ratio", "Estimated share of messages that convert, 0 to 1.", func(s *route.Signals) (float64, bool) { return s.Conversion.Ratio, s.Conversion.Known })
	lane("signalbox_route_conversion_evidence_nats", "Evidence that conversion is worse than normal.", func(s *route.Signals) (float64, bool) { return s.Conversion.Evidence, s.Conversion.Known })
	lane("signalbox_route_submit_refused_ratio", "Share of submits refused by the route's fault, 0 to 1.", func(s *route.Signals) (float64, bool) { return s.Submit.Refused, s.Submit.Known })
	lane("signalbox_route_submit_throttled_ratio", "Share of submits refused because they were too many, 0 to 1.", func(s *route.Signals) (float64, bool) { return s.Submit.Throttled, s.Submit.Known })
	lane("signalbox_route_open_messages", "Messages of the last hour without a final status.", func(s *route.Signals) (float64, bool) { return s.Open.Messages, s.Open.Known })
	return v
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (v *viewCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range v.all {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (v *viewCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(v.waiting, float64(v.c.waiting.Load()))
	view, table := v.c.view.Load(), v.c.o.Model.Table()
	if view == nil || table == nil {
		return
	}
	gauge(v.gen, float64(table.Table.Generation.Number), strconv.FormatUint(table.Table.Generation.Epoch, 10))
	gauge(v.info, 1, view.Policy.Revision)
	for _, l := range table.Table.Lanes {
		for _, e := range l.Routes {
			gauge(v.share, float64(e.Share)/route.FullShare, string(l.Class), string(l.Network), string(e.Route))
			for _, p := range []route.Phase{route.Active, route.Recovering, route.Demoted} {
				gauge(v.phase, boolean(e.Phase == p), string(l.Class), string(l.Network), string(e.Route), string(p))
			}
		}
	}
	v.collectStats(ch, &view.Stats)
	v.collectMoney(ch, view)
	for i := range view.Signals {
		s := &view.Signals[i]
		for _, g := range v.perLane {
			if value, ok := g.read(s); ok {
				gauge(g.desc, value, string(s.Lane.Class), string(s.Lane.Network), string(s.Route))
			}
		}
	}
}

// collectMoney tells what messages cost.
func (v *viewCollector) collectMoney(ch chan<- prometheus.Metric, view *View) {
	for i := range view.spent {
		t := &view.spent[i]
		lane := []string{string(t.Lane.Class), string(t.Lane.Network), string(t.Route)}
		if t.Currency == "" {
			ch <- prometheus.MustNewConstMetric(v.unpriced, prometheus.CounterValue, float64(t.Messages), lane...)
			continue
		}
		ch <- prometheus.MustNewConstMetric(v.spend, prometheus.CounterValue, t.Spent[t.Currency].InexactFloat64(), append(lane, t.Currency)...)
	}
	for lane, purse := range view.changed {
		for currency, amount := range purse {
			ch <- prometheus.MustNewConstMetric(v.changed, prometheus.GaugeValue, amount.InexactFloat64(), string(lane.Class), string(lane.Network), currency)
		}
	}
}

// collectStats tells of the observations that could not be used.
func (v *viewCollector) collectStats(ch chan<- prometheus.Metric, s *signal.Stats) {
	ch <- prometheus.MustNewConstMetric(v.keys, prometheus.GaugeValue, float64(s.Keys))
	for _, c := range []struct {
		why string
		n   uint64
	}{{"unserved", s.Unserved}, {"overflow", s.Overflow}, {"late", s.Late}, {"old", s.Old}, {"lost", s.Lost}} {
		ch <- prometheus.MustNewConstMetric(v.unused, prometheus.CounterValue, float64(c.n), c.why)
	}
}
