package policy

import (
	"math"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"signalbox/rules/route"
)

func withinVariables() []variable {
	s := signal{"within", func(x *route.Signals) *route.Quality { return &x.Within.Quality }, func(x *route.Signals) float64 { return x.Within.Messages }}
	return append([]variable{
		s.ratio("ratio", func(x *route.Signals) float64 { return x.Within.Ratio }),
		s.ratio("low", func(x *route.Signals) float64 { return x.Within.Low }),
		s.ratio("high", func(x *route.Signals) float64 { return x.Within.High }),
		s.ratio("baseline", func(x *route.Signals) float64 { return x.Within.Baseline }),
		s.count("messages", func(x *route.Signals) float64 { return x.Within.Messages }),
		s.count("evidence", func(x *route.Signals) float64 { return x.Within.Evidence }),
		s.field("since", cel.TimestampType, 0, 0, func(x *route.Signals) ref.Val { return moment(x.Within.Since) }),
	}, s.common()...)
}

func latencyVariables() []variable {
	s := signal{"latency", func(x *route.Signals) *route.Quality { return &x.Latency.Quality }, func(x *route.Signals) float64 { return x.Latency.Messages }}
	return append([]variable{
		s.count("evidence", func(x *route.Signals) float64 { return x.Latency.Evidence }),
		s.count("lateness", func(x *route.Signals) float64 { return x.Latency.Lateness }),
		s.count("messages", func(x *route.Signals) float64 { return x.Latency.Messages }),
		s.percentile("p50", func(x *route.Signals) route.Duration { return x.Latency.P50 }),
		s.percentile("p95", func(x *route.Signals) route.Duration { return x.Latency.P95 }),
		s.percentile("p99", func(x *route.Signals) route.Duration { return x.Latency.P99 }),
		s.percentile("baseline_p95", func(x *route.Signals) route.Duration { return x.Latency.BaselineP95 }),
		s.count("recovered", func(x *route.Signals) float64 { return x.Latency.Recovered }),
		s.field("since", cel.TimestampType, 0, 0, func(x *route.Signals) ref.Val { return moment(x.Latency.Since) }),
	}, s.common()...)
}

// peersVariables are those of the lane's other routes, each known where another route has it.
func peersVariables() []variable {
	s := signal{"peers", func(x *route.Signals) *route.Quality { return &x.Delivery.Quality }, func(x *route.Signals) float64 { return x.Delivery.Messages }}
	share := func(name string, get func(*route.Others) route.Median[float64]) variable {
		return s.of(name, cel.DoubleType, 0, 1, func(x *route.Signals) ref.Val {
			if m := get(&x.Others); m.Known() {
				return number(m.Value)
			}
			return unknown
		})
	}
	return []variable{
		share("delivery", func(o *route.Others) route.Median[float64] { return o.Delivery }),
		share("within", func(o *route.Others) route.Median[float64] { return o.Within }),
		s.of("latency", cel.DurationType, 0, 0, func(x *route.Signals) ref.Val {
			if m := x.Others.Latency; m.Known() {
				return span(m.Value)
			}
			return unknown
		}),
		share("conversion", func(o *route.Others) route.Median[float64] { return o.Conversion }),
		s.of("better", cel.IntType, 0, math.Inf(1), func(x *route.Signals) ref.Val {
			if o := &x.Others; o.Compared > 0 {
				return types.Int(o.Better)
			}
			return unknown
		}),
	}
}

func scoreVariables() []variable {
	s := signal{"score", func(x *route.Signals) *route.Quality { return &x.Score.Quality }, func(*route.Signals) float64 { return 0 }}
	value := s.field("", cel.DoubleType, 0, 100, func(x *route.Signals) ref.Val { return number(x.Score.Value) })
	value.name, value.label = s.name, s.name
	return append([]variable{
		value,
		s.ratio("weight", func(x *route.Signals) float64 { return x.Score.Weight }),
	}, s.common()...)
}
