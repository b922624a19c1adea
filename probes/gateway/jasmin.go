package gateway

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"signalbox/rules/route"
)

// Jasmin reads the /metrics of Jasmin's HTTP API, which counts for each SMPP connector, by the label cid. What it does not
// export is not told: a version without a metric gives no probe of its kind.
//
//	smppc_bound_count, smppc_disconnected_count   binds and ends of sessions since it started: bound is the one above the other
//	smppc_throttling_error_count                  submits refused because it was too much
type Jasmin struct {
	o    Options
	last map[route.ID]float64 // throttled submits, as they were counted the last time
}

// NewJasmin checks the options.
func NewJasmin(o Options) (*Jasmin, error) {
	if err := o.check("jasmin"); err != nil {
		return nil, err
	}
	return &Jasmin{o: o, last: map[route.ID]float64{}}, nil
}

// Collect asks once. Each connector gives a probe of kind bind, and from the second time on of kind throttle.
func (j *Jasmin) Collect(ctx context.Context) ([]route.Observation, error) {
	body, err := j.o.get(ctx, j.o.URL)
	if err == nil {
		var out []route.Observation
		if out, err = j.read(body); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("jasmin %s: %w", j.o.Name, err)
}

func (j *Jasmin) read(body []byte) ([]route.Observation, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("want metrics in the text format: %w", err)
	}
	bound, ended := byConnector(families["smppc_bound_count"]), byConnector(families["smppc_disconnected_count"])
	throttled := byConnector(families["smppc_throttling_error_count"])
	if bound == nil {
		return nil, fmt.Errorf("want smppc_bound_count with the label cid: is this Jasmin's /metrics?")
	}
	now := j.o.Now()
	var out []route.Observation
	for _, connector := range sortedKeys(bound) {
		id, known := j.o.route(connector)
		if !known {
			continue
		}
		base := route.Observation{Kind: route.KindProbe, Time: now, Source: "jasmin." + j.o.Name, Route: id}
		bind := base
		bind.Probe, bind.OK = "bind", bound[connector] > ended[connector]
		if !bind.OK {
			bind.Code = "disconnected"
		}
		out = append(out, bind)
		n, told := throttled[connector]
		was, before := j.last[id]
		if j.last[id] = n; told && before {
			throttle := base
			throttle.Probe, throttle.OK = "throttle", n <= was // it begins anew at a restart
			out = append(out, throttle)
		}
	}
	return out, nil
}

// byConnector are the values of a family by the label cid; nil where there is none.
func byConnector(f *dto.MetricFamily) map[string]float64 {
	if f == nil {
		return nil
	}
	out := map[string]float64{}
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if l.GetName() == "cid" && len(out) < maxLinks {
				out[l.GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
			}
		}
	}
	return out
}

func sortedKeys(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
