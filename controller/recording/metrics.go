package recording

import "github.com/prometheus/client_golang/prometheus"

// metrics are what a recorder tells of itself.
type metrics struct {
	recorded prometheus.Counter
	dropped  prometheus.Counter
	errors   prometheus.Counter
	bytes    prometheus.Gauge
	segments prometheus.Gauge
}

// newMetrics registers the metrics; a nil registerer is none.
func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		recorded: prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_recording_observations_total", Help: "Observations that the recording took."}),
		dropped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_recording_dropped_total", Help: "Observations that were judged but not recorded, because the disk refused or was too slow."}),
		errors:   prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_recording_write_errors_total", Help: "Failures to write the recording; it is tried again every ten seconds."}),
		bytes:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_recording_size_bytes", Help: "What the recording takes on disk."}),
		segments: prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_recording_segments", Help: "Files of the recording."}),
	}
	if r != nil {
		r.MustRegister(m.recorded, m.dropped, m.errors, m.bytes, m.segments)
	}
	return m
}

func (m *metrics) show(size int64, segments int) {
	m.bytes.Set(float64(size))
	m.segments.Set(float64(segments))
}
