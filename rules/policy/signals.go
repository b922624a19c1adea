package policy

import (
	"math"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"signalbox/rules/route"
)

// variable is one name that a condition can read.
type variable struct {
	name  string // as the compiler knows it: probe.bind.failures
	label string // as an author writes it: probe["bind"].failures
	typ   *cel.Type
	get   func(*Env) ref.Val // unknown where it is not known
	about func(*Env) rests   // what the value rests on
	// traffic is whether the value comes from messages that the route carries; without any it is never known.
	traffic bool
	known   bool    // whether it is the .known of a signal
	low     float64 // least value of a number
	high    float64 // greatest value of a number
}

// rests is what the value of a variable rests on.
type rests struct {
	messages float64
	age      route.Duration
}

// variables are all names that a condition can read, in the order in which they are listed to people.
var variables = allVariables()

// variableByName finds a variable by its name.
var variableByName = indexVariables()

// probeKinds are the kinds of probe, from the cheapest to the most telling.
var probeKinds = []string{"tcp", "tls", "bind", "enquire", "queue", "throttle", "submit", "receipt", "handset", "http"}

func indexVariables() map[string]*variable {
	m := make(map[string]*variable, len(variables))
	for i := range variables {
		m[variables[i].name] = &variables[i]
	}
	return m
}

func allVariables() []variable {
	var out []variable
	for _, group := range [][]variable{deliveryVariables(), withinVariables(), latencyVariables(), conversionVariables(), submitVariables(), openVariables(), peersVariables(), scoreVariables()} {
		for _, v := range group {
			v.traffic = true
			out = append(out, v)
		}
	}
	for _, kind := range probeKinds {
		out = append(out, probeVariables(kind)...)
	}
	return append(out, factVariables()...)
}

// unknown is CEL's unknown: it makes every expression unknown that its value could change.
var unknown ref.Val = types.NewUnknown(0, nil)

// number is a double; NaN is unknown, so that no comparison can be true by accident.
func number(f float64) ref.Val {
	if math.IsNaN(f) {
		return unknown
	}
	return types.Double(f)
}

func span(d route.Duration) ref.Val { return types.Duration{Duration: d.D()} }

func moment(t time.Time) ref.Val {
	if t.IsZero() {
		return unknown
	}
	return types.Timestamp{Time: t}
}

// signal describes one group of variables that are known or unknown together.
type signal struct {
	name     string
	quality  func(*route.Signals) *route.Quality
	messages func(*route.Signals) float64
}

// field is a variable of the signal.
func (s signal) field(name string, typ *cel.Type, low, high float64, get func(*route.Signals) ref.Val) variable {
	return s.of(name, typ, low, high, func(x *route.Signals) ref.Val {
		if !s.quality(x).Known {
			return unknown
		}
		return get(x)
	})
}

// of is a variable that says by itself whether it is known.
func (s signal) of(name string, typ *cel.Type, low, high float64, get func(*route.Signals) ref.Val) variable {
	full := s.name + "." + name
	return variable{name: full, label: full, typ: typ, low: low, high: high, about: s.about, get: func(e *Env) ref.Val {
		if e.Signals == nil {
			return unknown
		}
		return get(e.Signals)
	}}
}

func (s signal) ratio(name string, get func(*route.Signals) float64) variable {
	return s.field(name, cel.DoubleType, 0, 1, func(x *route.Signals) ref.Val { return number(get(x)) })
}

func (s signal) count(name string, get func(*route.Signals) float64) variable {
	return s.field(name, cel.DoubleType, 0, math.Inf(1), func(x *route.Signals) ref.Val { return number(get(x)) })
}

func (s signal) nats(name string, get func(*route.Signals) float64) variable {
	return s.field(name, cel.DoubleType, math.Inf(-1), math.Inf(1), func(x *route.Signals) ref.Val { return number(get(x)) })
}

func (s signal) span(name string, get func(*route.Signals) route.Duration) variable {
	return s.field(name, cel.DurationType, 0, 0, func(x *route.Signals) ref.Val { return span(get(x)) })
}

// percentile is a span that is not known while it is zero.
func (s signal) percentile(name string, get func(*route.Signals) route.Duration) variable {
	return s.field(name, cel.DurationType, 0, 0, func(x *route.Signals) ref.Val {
		if d := get(x); d > 0 {
			return span(d)
		}
		return unknown
	})
}

// common are the variables that every signal has.
func (s signal) common() []variable {
	known := variable{name: s.name + ".known", label: s.name + ".known", typ: cel.BoolType, about: s.about, known: true,
		get: func(e *Env) ref.Val { return types.Bool(e.Signals != nil && s.quality(e.Signals).Known) }}
	return []variable{s.span("age", func(x *route.Signals) route.Duration { return s.quality(x).Age }), known}
}

func (s signal) about(e *Env) rests {
	if e.Signals == nil {
		return rests{}
	}
	return rests{s.messages(e.Signals), s.quality(e.Signals).Age}
}

func deliveryVariables() []variable {
	s := signal{"delivery", func(x *route.Signals) *route.Quality { return &x.Delivery.Quality }, func(x *route.Signals) float64 { return x.Delivery.Messages }}
	return append([]variable{
		s.count("evidence", func(x *route.Signals) float64 { return x.Delivery.Evidence }),
		s.count("messages", func(x *route.Signals) float64 { return x.Delivery.Messages }),
		s.ratio("ratio", func(x *route.Signals) float64 { return x.Delivery.Ratio }),
		s.ratio("low", func(x *route.Signals) float64 { return x.Delivery.Low }),
		s.ratio("high", func(x *route.Signals) float64 { return x.Delivery.High }),
		s.ratio("baseline", func(x *route.Signals) float64 { return x.Delivery.Baseline }),
		s.count("silence", func(x *route.Signals) float64 { return x.Delivery.Silence }),
		s.count("failure", func(x *route.Signals) float64 { return x.Delivery.Failure }),
		s.nats("recovered", func(x *route.Signals) float64 { return x.Delivery.Recovered }),
		s.count("delivered", func(x *route.Signals) float64 { return x.Delivery.Delivered }),
		s.count("failed", func(x *route.Signals) float64 { return x.Delivery.Failed }),
		s.field("since", cel.TimestampType, 0, 0, func(x *route.Signals) ref.Val { return moment(x.Delivery.Since) }),
	}, s.common()...)
}

func conversionVariables() []variable {
	s := signal{"conversion", func(x *route.Signals) *route.Quality { return &x.Conversion.Quality }, func(x *route.Signals) float64 { return x.Conversion.Messages }}
	return append([]variable{
		s.count("evidence", func(x *route.Signals) float64 { return x.Conversion.Evidence }),
		s.count("messages", func(x *route.Signals) float64 { return x.Conversion.Messages }),
		s.ratio("ratio", func(x *route.Signals) float64 { return x.Conversion.Ratio }),
		s.ratio("low", func(x *route.Signals) float64 { return x.Conversion.Low }),
		s.ratio("high", func(x *route.Signals) float64 { return x.Conversion.High }),
		s.ratio("baseline", func(x *route.Signals) float64 { return x.Conversion.Baseline }),
		s.nats("recovered", func(x *route.Signals) float64 { return x.Conversion.Recovered }),
		s.count("converted", func(x *route.Signals) float64 { return x.Conversion.Converted }),
		s.field("since", cel.TimestampType, 0, 0, func(x *route.Signals) ref.Val { return moment(x.Conversion.Since) }),
	}, s.common()...)
}

func submitVariables() []variable {
	s := signal{"submit", func(x *route.Signals) *route.Quality { return &x.Submit.Quality }, func(x *route.Signals) float64 { return x.Submit.Messages }}
	return append([]variable{
		s.ratio("refused", func(x *route.Signals) float64 { return x.Submit.Refused }),
		s.ratio("throttled", func(x *route.Signals) float64 { return x.Submit.Throttled }),
		s.ratio("timeouts", func(x *route.Signals) float64 { return x.Submit.Timeouts }),
		s.count("messages", func(x *route.Signals) float64 { return x.Submit.Messages }),
		s.span("p95", func(x *route.Signals) route.Duration { return x.Submit.P95 }),
	}, s.common()...)
}

func openVariables() []variable {
	s := signal{"open", func(x *route.Signals) *route.Quality { return &x.Open.Quality }, func(x *route.Signals) float64 { return x.Open.Messages }}
	return append([]variable{
		s.count("messages", func(x *route.Signals) float64 { return x.Open.Messages }),
		s.span("oldest_p95", func(x *route.Signals) route.Duration { return x.Open.OldestP95 }),
	}, s.common()...)
}

// probeVariables are those of one kind of probe; without a result of that kind they are unknown.
func probeVariables(kind string) []variable {
	named := func(name string, typ *cel.Type, high float64, get func(*route.Probe) ref.Val) variable {
		return variable{name: "probe." + kind + "." + name, label: `probe["` + kind + `"].` + name, typ: typ, high: high,
			about: func(e *Env) rests { p, _ := e.probe(kind); return rests{age: p.Age} },
			get: func(e *Env) ref.Val {
				if p, ok := e.probe(kind); ok {
					return get(&p)
				}
				return unknown
			}}
	}
	known := named("known", cel.BoolType, 0, nil)
	known.known = true
	known.get = func(e *Env) ref.Val { _, ok := e.probe(kind); return types.Bool(ok) }
	return []variable{
		named("failures", cel.IntType, math.Inf(1), func(p *route.Probe) ref.Val { return types.Int(p.Failures) }),
		named("successes", cel.IntType, math.Inf(1), func(p *route.Probe) ref.Val { return types.Int(p.Successes) }),
		named("ok", cel.DoubleType, 1, func(p *route.Probe) ref.Val { return number(p.OK) }),
		named("p95", cel.DurationType, 0, func(p *route.Probe) ref.Val { return span(p.P95) }),
		named("age", cel.DurationType, 0, func(p *route.Probe) ref.Val { return span(p.Age) }),
		known,
	}
}

// probe is the known probe of a kind.
func (e *Env) probe(kind string) (route.Probe, bool) {
	if e.Signals == nil {
		return route.Probe{}, false
	}
	p := e.Signals.Probes[kind]
	return p, p.Known
}

// factVariables are those of the route, its lane and its state.
func factVariables() []variable {
	fact := func(name string, typ *cel.Type, get func(*Env) ref.Val) variable {
		return variable{name: name, label: name, typ: typ, get: get, low: 0, high: math.Inf(1), about: func(*Env) rests { return rests{} }}
	}
	ofRoute := func(name string, typ *cel.Type, get func(*Env) ref.Val) variable {
		return fact(name, typ, func(e *Env) ref.Val {
			if e.Route == nil {
				return unknown
			}
			return get(e)
		})
	}
	ofLane := func(name string, typ *cel.Type, get func(*route.Signals) ref.Val) variable {
		return fact(name, typ, func(e *Env) ref.Val {
			if e.Signals == nil {
				return unknown
			}
			return get(e.Signals)
		})
	}
	return []variable{
		ofRoute("route.id", cel.StringType, func(e *Env) ref.Val { return types.String(e.Route.ID) }),
		ofRoute("route.provider", cel.StringType, func(e *Env) ref.Val { return types.String(e.Route.Provider) }),
		ofRoute("route.price", cel.StringType, price),
		ofRoute("route.tags", cel.MapType(cel.StringType, cel.StringType), func(e *Env) ref.Val {
			return types.NewStringStringMap(types.DefaultTypeAdapter, e.Route.Tags)
		}),
		ofLane("lane.class", cel.StringType, func(x *route.Signals) ref.Val { return types.String(x.Lane.Class) }),
		ofLane("lane.network", cel.StringType, func(x *route.Signals) ref.Val { return types.String(x.Lane.Network) }),
		ofLane("lane.rate", cel.DoubleType, func(x *route.Signals) ref.Val { return number(x.Rate) }),
		fact("lane.active", cel.IntType, func(e *Env) ref.Val { return types.Int(e.State.Active) }),
		fact("state.phase", cel.StringType, func(e *Env) ref.Val { return types.String(e.State.phase()) }),
		fact("state.age", cel.DurationType, func(e *Env) ref.Val { return types.Duration{Duration: e.State.PhaseAge} }),
		fact("state.relapses", cel.IntType, func(e *Env) ref.Val { return types.Int(e.State.Relapses) }),
	}
}

// price is the text of the route's price in the lane's network.
func price(e *Env) ref.Val {
	if e.Signals == nil {
		return unknown
	}
	if p := e.Route.Price(e.Signals.Lane.Network); p.Known() {
		return types.String(p.String())
	}
	return unknown
}
