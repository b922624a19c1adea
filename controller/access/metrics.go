package access

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

func (k *Keeper) newMetrics(r prometheus.Registerer) {
	f := promauto.With(r)
	k.crowded = f.NewCounter(prometheus.CounterOpts{Name: "signalbox_http_crowded_total",
		Help: "HTTP requests beyond rate_limit of the web configuration."})
	k.loaded = f.NewGauge(prometheus.GaugeOpts{Name: "signalbox_web_last_reload_successful",
		Help: "Whether the tokens and the web configuration as they were at the last reload are in force."})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "signalbox_tokens_next_expiry_timestamp_seconds",
		Help: "When the next token expires that has not yet; 0: none does."}, k.nextExpiry)
}

// nextExpiry is in Unix seconds.
func (k *Keeper) nextExpiry() float64 {
	rules, now := k.rules.Load(), k.o.Now()
	if rules == nil {
		return 0
	}
	next := 0.0
	for _, e := range rules.tokens {
		if at := float64(e.notAfter.Unix()); e.notAfter.After(now) && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}
