package promql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"time"

	"github.com/prometheus/common/model"

	"signalbox/rules/route"
)

// tripper adds to each call what the server asks for, and bounds its answer.
type tripper struct {
	headers, params map[string]string
	way             http.RoundTripper
}

func newTripper(o Options) *tripper {
	return &tripper{o.Headers, o.Params, &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second}}
}

// errPartial is an answer of a VictoriaMetrics cluster of which a part is away; it says so in a field that is no warning.
var errPartial = errors.New("the answer is partial: isPartial is true")

func (t *tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range t.headers {
		r.Header.Set(name, value)
	}
	q := r.URL.Query()
	for name, value := range t.params {
		q.Set(name, value)
	}
	r.URL.RawQuery = q.Encode()
	response, err := t.way.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body := bufio.NewReader(http.MaxBytesReader(nil, response.Body, maxBytes))
	if head, _ := body.Peek(256); bytes.Contains(head, []byte(`"isPartial":true`)) { // a short answer is looked at as far as it goes
		response.Body.Close()
		return nil, errPartial
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{body, response.Body}
	return response, nil
}

// sample is one series of an answer.
type sample struct {
	key   route.Key
	name  string // counter and labels
	value float64
	at    time.Time
}

// query asks for a counter and for how old its samples are.
func (c *Collector) query(ctx context.Context, name string, now time.Time) ([]sample, error) {
	q := c.o.Queries[name]
	values, err := c.vector(ctx, q, now)
	if err != nil {
		return nil, fmt.Errorf("promql %s: query %s: %w", c.o.Name, name, err)
	}
	if len(values) == 0 {
		return nil, nil
	}
	times, err := c.vector(ctx, "timestamp("+q+")", now)
	if err != nil {
		return nil, fmt.Errorf("promql %s: query the times of %s: %w", c.o.Name, name, err)
	}
	at := map[model.Fingerprint]float64{}
	for _, s := range times {
		at[withoutName(s.Metric).Fingerprint()] = float64(s.Value)
	}
	var out []sample
	for _, s := range values {
		labels := withoutName(s.Metric)
		seconds, told := at[labels.Fingerprint()]
		if !told || !(seconds > 0 && seconds < 1<<33) {
			continue
		}
		k := route.Key{Route: route.ID(labels["route"]), Class: route.Class(labels["class"]), Network: route.Network(labels["network"])}
		if k.Route == "" || c.o.Known != nil && !c.o.Known(k.Route) {
			continue
		}
		out = append(out, sample{k, name + labels.String(), float64(s.Value), time.UnixMicro(int64(seconds * 1e6)).UTC()})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out, nil
}

func withoutName(m model.Metric) model.Metric {
	m = m.Clone()
	delete(m, model.MetricNameLabel)
	return m
}

// vector asks for a vector without warnings.
func (c *Collector) vector(ctx context.Context, query string, now time.Time) (model.Vector, error) {
	v, warnings, _, err := c.api.Query(ctx, query, now) // what is only for information says nothing of what is missing
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("the answer may be partial: %s", warnings[0])
	}
	if v == nil {
		return nil, errors.New("want a vector, got nothing")
	}
	vector, ok := v.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("want a vector, got a %s", v.Type())
	}
	if len(vector) > maxSeries {
		return nil, fmt.Errorf("want at most %d series, got %d", maxSeries, len(vector))
	}
	return vector, nil
}
