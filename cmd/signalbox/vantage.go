package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"signalbox/rules/route"
)

// vantageOptions are how a process looks at routes from another place and reports to a controller.
type vantageOptions struct {
	name        string
	controller  string
	credentials credentials
	file, data  string
	logger      *slog.Logger
}

// vantage is a process that only looks: it has no policy and no table.
type vantage struct {
	o      vantageOptions
	client *client
	eyes   *eyes
}

// How often a vantage point tells how its probes stand, and how long one call may take.
const (
	tellEvery  = 10 * time.Second
	tellWithin = 5 * time.Second
)

var vantageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func newVantage(o vantageOptions) (*vantage, error) {
	if !vantageName.MatchString(o.name) {
		return nil, wrong("give each place a name of its own, such as --vantage frankfurt", fmt.Errorf("--vantage: want at most 64 letters, digits and . _ -, got %q", o.name))
	}
	if o.file == "" {
		return nil, wrong("give --probes.file", errors.New("--role probe: want the settings that say what to look at"))
	}
	c, err := newClient("--controller", o.controller)
	if err == nil {
		err = c.present(o.credentials)
	}
	if err != nil {
		return nil, err
	}
	v := &vantage{o: o, client: c}
	v.eyes, err = newEyes(eyesOptions{file: o.file, data: o.data, vantage: o.name, logger: o.logger, sink: v.report}, prometheus.NewRegistry())
	return v, err
}

// run looks and reports until ctx is done.
func (v *vantage) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return v.eyes.run(ctx) })
	g.Go(func() error { return v.tell(ctx) })
	return g.Wait()
}

// reload reads the settings and the token again.
func (v *vantage) reload() error {
	s, err := v.eyes.read()
	if err != nil {
		v.o.logger.Error("settings of probes refused", "file", v.o.file, "err", err)
		return err
	}
	if err := v.client.presentAgain(v.o.credentials); err != nil {
		v.o.logger.Error("token refused", "file", v.o.credentials.tokenFile, "err", err)
		return err
	}
	v.eyes.take(s)
	return nil
}

// observed is an observation of a probe as /events takes it.
type observed struct {
	Type    string        `json:"type"`
	Time    time.Time     `json:"time"`
	Source  string        `json:"source"`
	Route   route.ID      `json:"route"`
	Network route.Network `json:"network,omitempty"`
	Probe   string        `json:"probe"`
	OK      bool          `json:"ok"`
	Code    string        `json:"code,omitempty"`
	Latency float64       `json:"latency"` // seconds
	Sent    time.Time     `json:"sent,omitzero"`
}

// report posts observations; what it returns an error for is given to it again.
func (v *vantage) report(ctx context.Context, batch []route.Observation) error {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for i := range batch {
		o := &batch[i]
		if o.Kind != route.KindProbe {
			continue
		}
		line := observed{"probe", o.Time, v.o.name, o.Route, o.Network, o.Probe, o.OK, o.Code, o.Latency.Seconds(), o.Sent}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	if body.Len() == 0 {
		return nil
	}
	return v.call(ctx, http.MethodPost, "/events", "application/x-ndjson", &body)
}

// tell says how the probes stand, again and again. An answer that does not come costs nothing but the picture.
func (v *vantage) tell(ctx context.Context) error {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		body, err := json.Marshal(struct {
			Probes []route.Watch `json:"probes"`
		}{v.eyes.Watches()})
		if err == nil {
			err = v.call(ctx, http.MethodPut, "/api/v1/probes/"+v.o.name, "application/json", bytes.NewReader(body))
		}
		if err != nil && ctx.Err() == nil {
			v.o.logger.Warn("controller not told how probes stand", "err", err)
		}
	}
}

func (v *vantage) call(ctx context.Context, method, path, contentType string, body io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, v.client.base.JoinPath(path).String(), body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := v.client.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20)) // to its end, so that the connection can be kept
	if response.StatusCode >= 300 {
		var p problem
		_ = json.Unmarshal(answer, &p) // without a detail the status has to do
		return fmt.Errorf("%s %s: %s %s", method, path, response.Status, p.Detail)
	}
	return nil
}
