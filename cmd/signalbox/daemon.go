package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"signalbox/controller"
	"signalbox/controller/alert"
	"signalbox/controller/api"
	"signalbox/controller/recording"
	"signalbox/controller/repo"
	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/controller/way"
	"signalbox/probes/ingest"
	"signalbox/probes/receipts"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// daemonOptions are what a daemon is made from.
type daemonOptions struct {
	policy     string // path; or
	git        gitOptions
	data       string // folder of the durable state
	listen     string
	allowOpen  bool // whether listening beyond loopback without TLS and authentication is allowed
	web        webOptions
	mode       route.Mode
	epoch      uint64 // of tables, where it is greater than the stored one
	recording  recordingOptions
	messages   messagesOptions
	signingKey string // file of the keys that sign tables; "" signs none
	probes     string // file of the settings of probes; "" looks at nothing
	alerts     string // file of the settings of alerts; "" tells nobody
	logger     *slog.Logger
	decided    func([]route.Decision)
}

// daemon is a running signalbox: the control plane and its HTTP server.
type daemon struct {
	o        daemonOptions
	registry *prometheus.Registry
	signer   api.Signer // nil: tables are not signed
	store    *store.Store
	git      *repo.Repo // nil: the policy is in a folder
	control  *controller.Controller
	recorder *recording.Recorder // nil: nothing is recorded
	way      *way.Way
	eyes     *eyes
	alerts   *alert.Alerts // nil: nobody is told
	doors    *doors
	reloader *reloader
	listener net.Listener
	server   *http.Server
}

// newDaemon opens, restores and listens; whoever gets one must run it, which closes it.
func newDaemon(o daemonOptions) (*daemon, error) {
	registry := newRegistry()
	// What may be wrong without a folder goes first, so that none is left behind.
	doors, err := openDoors(o, registry)
	if err != nil {
		return nil, err
	}
	if err := checkSource(o); err != nil {
		return nil, err
	}
	signer, err := openSigner(o.signingKey, o.logger)
	if err != nil {
		return nil, err
	}
	d := &daemon{o: o, doors: doors, registry: registry, signer: signer}
	if err := d.open(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// open takes what has to be closed again, in the order in which a restart depends on it.
func (d *daemon) open() (err error) {
	o := d.o
	if d.store, err = openStore(o.data); err != nil {
		return err
	}
	registry := d.registry
	if d.recorder, err = o.recording.open(o.logger, registry); err != nil {
		return err
	}
	if d.way, err = o.messages.open(); err != nil {
		return err
	}
	model := state.New()
	load, err := d.openSource(registry)
	if err != nil {
		return err
	}
	if err := refill(model, d.store); err != nil {
		return err
	}
	controls := controller.Options{Store: d.store, Model: model, Load: load,
		Mode: o.mode, Epoch: o.epoch, Logger: o.logger, Registerer: registry, Decided: d.decided(model), Published: d.way.Published}
	if d.recorder != nil {
		controls.Recorder = d.recorder
	}
	if err := d.openAlerts(model, registry); err != nil {
		return err
	}
	if d.alerts != nil {
		controls.Announce = d.alerts.Announce
	}
	if d.control, err = controller.New(controls); err != nil {
		return err
	}
	if d.eyes, err = newEyes(eyesOptions{file: o.probes, data: o.data, logger: o.logger, sink: d.sink, known: d.control.Known, suggest: d.suggest}, registry); err != nil {
		return err
	}
	d.doors.audited(o.data, registry)
	d.reloader = &reloader{control: d.control, eyes: d.eyes, alerts: d.alerts, file: o.alerts, doors: d.doors, logger: o.logger}
	handler, err := d.handler(model, registry)
	if err != nil {
		return err
	}
	if d.listener, err = d.doors.listen(registry); err != nil {
		return err
	}
	d.server = api.Server(d.doors.wrap(handler))
	d.server.TLSConfig = d.doors.tls()
	d.server.ErrorLog = slog.NewLogLogger(o.logger.Handler(), slog.LevelDebug)
	return nil
}

// newsAtStart is how many decisions of the journal those who follow may come back to after a restart.
const newsAtStart = 1000

// refill tells the model what the journal has, so that those who follow miss nothing over a restart.
func refill(model *state.Model, s *store.Store) error {
	latest, _, err := s.Decisions(store.Query{Limit: newsAtStart})
	if err != nil {
		return wrong("", err)
	}
	slices.Reverse(latest)
	model.Tell(latest)
	return nil
}

// decided tells those who follow of decisions, whoever else wants to know, and those who deliver that there is something.
func (d *daemon) decided(model *state.Model) func([]route.Decision) {
	return func(all []route.Decision) {
		model.Tell(all)
		if d.o.decided != nil {
			d.o.decided(all)
		}
		if d.alerts != nil {
			d.alerts.Wake()
		}
	}
}

func openStore(dir string) (*store.Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, wrong("--data names a folder that can be written", err)
	}
	s, err := store.Open(store.Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) {
			return nil, wrong(hinted.Hint(), err)
		}
		return nil, wrong("", err)
	}
	return s, nil
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector("signalbox"))
	return r
}

// handler wires what comes in, what goes out and what is asked.
func (d *daemon) handler(model *state.Model, registry *prometheus.Registry) (http.Handler, error) {
	joiner, err := ingest.NewJoiner(ingest.JoinerOptions{})
	if err != nil {
		return nil, err
	}
	events, err := ingest.New(ingest.Options{Sink: d.sink, Joiner: joiner, Known: d.control.Known, Suggest: d.suggest, Class: d.class, Own: d.eyes.box.Own, Source: api.SourceOf, Registerer: registry})
	if err != nil {
		return nil, err
	}
	take := func(ctx context.Context, batch []route.Observation) error {
		// The probes' own go first: a full queue must not keep them from those who wait.
		if batch = slices.DeleteFunc(batch, func(o route.Observation) bool { return d.eyes.box.Own(&o, joiner.Knows) }); len(batch) == 0 {
			return nil
		}
		return events.Take(ctx, batch)
	}
	hooks, err := receipts.New(receipts.Options{Take: take, Known: d.control.Known, Suggest: d.suggest, Registerer: registry})
	if err != nil {
		return nil, err
	}
	d.eyes.serve(hooks)
	d.doors.proven(hooks, d.eyes.inbound)
	o := api.Options{Signer: d.signer, Tables: model, Lanes: model, Senders: model, Journal: d.store, Explainer: explainer{d.control, d.eyes}, Policy: sourced{d.control, d.git}, Reloader: d.reloader, Probes: d.eyes, Operators: operators{d.control}, Feed: model, Prices: priced{d.control}, Messages: traced{d.way}, Alerts: told{d.alerts}, Inbound: d.eyes.inboundHandler(),
		Planner: &planner{control: d.control, recording: d.o.recording.dir, mode: d.o.mode, within: planWithin},
		Events:  events, Receipts: hooks, Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}),
		Ready: d.control.Ready, Registerer: registry, Logger: d.o.logger}
	d.doors.in(&o)
	return api.New(o)
}

// suggest is the route that was probably meant; "" where none is near.
func (d *daemon) suggest(id route.ID) route.ID {
	return route.ID(policy.Nearest(string(id), d.control.RouteIDs()))
}

// class says whether a lane serves a class, and which one was probably meant where none does.
func (d *daemon) class(c route.Class) (served bool, near route.Class) {
	classes := d.control.Classes()
	if slices.Contains(classes, string(c)) || slices.Contains(classes, string(route.AnyClass)) {
		return true, ""
	}
	return false, route.Class(policy.Nearest(string(c), classes))
}

// sink hands joined observations to the loop.
func (d *daemon) sink(ctx context.Context, batch []route.Observation) error {
	err := d.control.Take(ctx, batch)
	if errors.Is(err, controller.ErrFull) {
		return ingest.ErrFull
	}
	if err == nil {
		d.way.Took(batch, time.Now())
	}
	return err
}

// address is where the daemon listens.
func (d *daemon) address() string { return d.listener.Addr().String() }

// stopWithin is how long requests under way may take once the daemon is to stop.
const stopWithin = 5 * time.Second

// run serves and decides until ctx is done: the server stops first, so that nothing taken in is lost, then the loop,
// then the recording of it, then the store.
func (d *daemon) run(ctx context.Context) error {
	defer d.close()
	g, gctx := errgroup.WithContext(ctx)
	loop, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		defer stopLoop()
		<-gctx.Done()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if err := d.server.Shutdown(deadline); err != nil {
			d.o.logger.Warn("requests cut off", "err", err)
			return d.server.Close()
		}
		return nil
	})
	recorded, stopRecording := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		defer stopRecording()
		return d.control.Run(loop)
	})
	if d.git != nil {
		g.Go(func() error { return d.git.Run(gctx) })
	}
	if d.recorder != nil {
		g.Go(func() error { return d.recorder.Run(recorded) })
	}
	g.Go(func() error { return d.eyes.run(gctx) })
	if d.alerts != nil {
		g.Go(func() error { return d.alerts.Run(gctx) })
	}
	g.Go(func() error { return d.doors.audit.Run(loop) })
	g.Go(func() error {
		if err := d.serve(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	return g.Wait()
}

// close lets go of what is open.
func (d *daemon) close() {
	if d.listener != nil {
		d.listener.Close() // the server may have closed it
	}
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.o.logger.Error("store not closed", "err", err)
		}
	}
}

// serve serves until the server is shut down.
func (d *daemon) serve() error {
	if d.doors.tls() != nil {
		return d.server.ServeTLS(d.listener, "", "")
	}
	return d.server.Serve(d.listener)
}
