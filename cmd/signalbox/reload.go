package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"signalbox/controller"
	"signalbox/controller/alert"
	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// reloader reads the policy, the settings of probes and of alerts, and who may come in, again: all come into force, or none does.
type reloader struct {
	control *controller.Controller
	eyes    *eyes
	alerts  *alert.Alerts // nil: nobody is told
	file    string        // of the settings of alerts
	doors   *doors
	logger  *slog.Logger

	one sync.Mutex // held for the time of a reload, so that what was read last is what is in force
}

// Reload leaves what is in force where it returns an error, of which it has told the log.
func (r *reloader) Reload(ctx context.Context) error {
	r.one.Lock()
	defer r.one.Unlock()
	next, err := r.read()
	if err != nil {
		r.control.Refuse(err)
		return err
	}
	if err := r.control.Reload(ctx); err != nil {
		return err
	}
	r.eyes.take(next.sight)
	if next.receivers != nil {
		r.alerts.Use(next.receivers)
	}
	next.open()
	return nil
}

// reread is what was read again beside the policy, and can come into force.
type reread struct {
	sight     *sight
	receivers *alert.Setup
	open      func() // brings who may come in into force
}

func (r *reloader) read() (next reread, err error) {
	if next.sight, err = r.eyes.read(); err != nil {
		r.logger.Error("settings of probes refused", "file", r.eyes.o.file, "err", err)
		return next, err
	}
	if next.receivers, err = readAlerts(r.file); err != nil {
		r.logger.Error("settings of alerts refused", "file", r.file, "err", err)
		return next, err
	}
	if next.open, err = r.doors.read(); err != nil {
		r.logger.Error("tokens and web configuration refused", "err", err)
	}
	return next, err
}

// explainer adds to what the controller says of a route how its probes stand.
type explainer struct {
	control *controller.Controller
	eyes    *eyes
}

// Explain is the explanation, with the probes of the route.
func (e explainer) Explain(id route.ID, l route.Lane) (any, bool) {
	why, ok := e.control.Explain(id, l)
	if !ok {
		return nil, false
	}
	return struct {
		decide.Explanation
		Probes []route.Watch `json:"probes,omitempty"`
	}{why.(decide.Explanation), e.eyes.watchesOf(id)}, true
}

// operators gives orders to the controller, and says in the words of the API what it answers.
type operators struct{ *controller.Controller }

// Order returns once the order is durable.
func (o operators) Order(ctx context.Context, order route.Order) (controller.Ordered, error) {
	done, err := o.Controller.Order(ctx, order)
	if errors.Is(err, controller.ErrNotStored) {
		err = notStored{err}
	}
	return done, err
}

// notStored is an order that could not be made durable.
type notStored struct{ error }

// NotStored says so.
func (notStored) NotStored() bool { return true }
