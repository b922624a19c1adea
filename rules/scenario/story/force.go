package story

import (
	"maps"
	"math"
	"reflect"
	"strings"
	"time"

	"signalbox/rules/route"
)

// setter is the field of route.Signals that a series forces, found by the names that the field has in JSON, which are
// those that conditions use.
type setter struct {
	probe string // its kind, where the field is one of a probe
	path  []string
}

// findSetter finds the field of a signal such as delivery.evidence or probe["bind"].failures; problem is what was wanted
// instead, or "".
func findSetter(signal string) (s setter, problem string) {
	rest := signal
	value := reflect.ValueOf(&route.Signals{}).Elem()
	if inside, ok := strings.CutPrefix(signal, `probe["`); ok {
		s.probe, rest, ok = strings.Cut(inside, `"].`)
		if !ok || !isProbeKind(s.probe) {
			return s, `a kind of probe, as in probe["bind"].ok`
		}
		value = reflect.ValueOf(&route.Probe{}).Elem()
	}
	s.path = strings.Split(rest, ".")
	if len(s.path)+min(1, len(s.probe)) != 2 && signal != "lane.rate" {
		return s, "a signal such as delivery.evidence"
	}
	if field := s.find(value); !field.IsValid() || !settable(field) {
		return s, "a signal with a number, such as delivery.evidence"
	}
	return s, ""
}

func isProbeKind(kind string) bool {
	for _, k := range probeKinds {
		if k == kind {
			return true
		}
	}
	return false
}

func (s *setter) find(v reflect.Value) reflect.Value {
	if strings.Join(s.path, ".") == "lane.rate" {
		return v.FieldByName("Rate")
	}
	for _, name := range s.path {
		if v = fieldByJSON(v, name); !v.IsValid() {
			return v
		}
	}
	return v
}

// fieldByJSON is the field of a struct with a name in JSON, in embedded ones too.
func fieldByJSON(v reflect.Value, name string) reflect.Value {
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == name && f.IsExported():
			return v.Field(i)
		case f.Anonymous:
			if inner := fieldByJSON(v.Field(i), name); inner.IsValid() {
				return inner
			}
		}
	}
	return reflect.Value{}
}

func settable(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float64, reflect.Int64, reflect.Bool:
		return true
	}
	return false
}

var durationType = reflect.TypeFor[route.Duration]()

// force makes a signal what a sample says: a signal of which one number is forced is known, and stale is not.
func (s *setter) force(x *route.Signals, v sample) {
	if v.kind == sampleNone {
		return
	}
	if s.probe == "" {
		s.set(reflect.ValueOf(x).Elem(), v)
		return
	}
	p := x.Probes[s.probe]
	s.set(reflect.ValueOf(&p).Elem(), v)
	if x.Probes = maps.Clone(x.Probes); x.Probes == nil {
		x.Probes = map[string]route.Probe{}
	}
	x.Probes[s.probe] = p
}

func (s *setter) set(top reflect.Value, v sample) {
	group := top
	if len(s.path) > 1 {
		group = fieldByJSON(top, s.path[0])
	}
	quality := reflect.Value{}
	if group.IsValid() && group.Kind() == reflect.Struct {
		quality = group.FieldByName("Quality")
	}
	switch {
	case v.kind == sampleStale && quality.IsValid():
		group.SetZero()
		quality.Set(reflect.ValueOf(route.Quality{Cause: "the story says that it is stale"}))
		return
	case v.kind == sampleStale:
		return
	case quality.IsValid():
		quality.FieldByName("Known").SetBool(true)
		quality.FieldByName("Cause").SetString("")
	}
	field := s.find(top)
	switch {
	case field.Type() == durationType:
		field.SetInt(int64(v.value * float64(time.Second)))
	case field.Kind() == reflect.Float64:
		field.SetFloat(v.value)
	case field.Kind() == reflect.Int64:
		field.SetInt(int64(math.Round(v.value)))
	case field.Kind() == reflect.Bool:
		field.SetBool(v.value != 0)
	}
}
