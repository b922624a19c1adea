package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"signalbox/controller/alert"
	"signalbox/controller/api"
	"signalbox/controller/state"
)

func addAlerts(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "alerts.file", "", "settings that say who is told: webhooks and Alertmanagers; nobody is told without it")
	_ = c.MarkFlagFilename("alerts.file", "yml", "yaml") // the flag is there
}

// readAlerts reads the settings of alerts, and everything that they name; nil where there are none.
func readAlerts(file string) (*alert.Setup, error) {
	if file == "" {
		return nil, nil
	}
	setup, err := alert.Load(file)
	var problems alert.Problems
	if errors.As(err, &problems) {
		return nil, &badAlerts{problems}
	}
	return setup, err
}

// badAlerts is everything that is wrong with settings of alerts.
type badAlerts struct{ problems alert.Problems }

func (b *badAlerts) Error() string {
	return "the settings of alerts have " + plural(len(b.problems), "problem") + ":\n" + b.problems.Error()
}

func (b *badAlerts) Unwrap() error { return b.problems }

// Problems are told one by one in the answer to a reload.
func (b *badAlerts) Problems() []string { return b.problems.Problems() }

// openAlerts makes ready to tell the receivers of the settings, if there are any.
func (d *daemon) openAlerts(model *state.Model, registry prometheus.Registerer) error {
	setup, err := readAlerts(d.o.alerts)
	if err != nil {
		return wrong("mend the settings of --alerts.file; signalbox alert check FILE tries them", err)
	}
	if setup == nil {
		return nil
	}
	o := alert.Options{Setup: setup, Outbox: d.store, Senders: model, Look: func() alert.Scene { return d.scene(model) }, Logger: d.o.logger, Registerer: registry}
	d.alerts, err = alert.New(o)
	return err
}

// scene is what holds now, for alerts.
func (d *daemon) scene(model *state.Model) alert.Scene {
	status := d.control.Status()
	s := alert.Scene{World: d.control.World(), CommonWait: d.control.Policy().Guards.CommonCause.Wait,
		PolicyError: status.LastError, PolicyAt: status.LastErrorAt, StoreFailed: d.control.StoreFailing()}
	if p := model.Table(); p != nil {
		s.Table = p.Table
	}
	return s
}

// told is what the API asks of alerts; nil ones tell nobody.
type told struct{ alerts *alert.Alerts }

// Report implements api.Alerts.
func (t told) Report() any {
	if t.alerts == nil {
		return alert.Report{Receivers: []alert.Receiver{}, Alerts: []alert.Alert{}, Deliveries: []alert.Attempt{}}
	}
	return t.alerts.Report()
}

// Try implements api.Alerts.
func (t told) Try(ctx context.Context, receiver string) (any, error) {
	if t.alerts == nil {
		return nil, fmt.Errorf("%w: signalbox runs without --alerts.file, so it tells nobody", api.ErrNoReceiver)
	}
	tried, err := t.alerts.Try(ctx, receiver)
	var none *alert.NoReceiver
	if errors.As(err, &none) {
		return nil, fmt.Errorf("%w: %s", api.ErrNoReceiver, none.Text)
	}
	return tried, err
}
