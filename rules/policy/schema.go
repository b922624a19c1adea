package policy

import (
	"encoding/json"
	"fmt"

	"signalbox/rules/route"
)

// Schema is the JSON Schema (draft 2020-12) of one file of a policy. It is made from the same tables that Parse reads.
func Schema() []byte { return policyShape.document("signalbox policy") }

// document is the schema of a whole file.
func (s *shape) document(title string) []byte {
	m := s.schema()
	m["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	m["title"] = title
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil { // maps, texts and numbers only
		panic(fmt.Sprintf("policy: schema: %v", err))
	}
	return append(b, '\n')
}

func (s *shape) schema() map[string]any {
	if s.orList != nil {
		one := *s
		one.orList = nil
		return map[string]any{"description": s.doc, "anyOf": []any{one.schema(), s.orList.schema()}}
	}
	m := map[string]any{"description": s.doc}
	if s.byDefault != "" {
		m["default"] = s.defaultValue()
	}
	switch s.kind {
	case kindObject:
		s.objectSchema(m)
	case kindMap:
		m["type"], m["propertyNames"], m["additionalProperties"] = "object", s.names.schema(), s.each.schema()
		m["minProperties"], m["maxProperties"] = s.min, s.max
	case kindList:
		m["type"], m["items"], m["minItems"], m["maxItems"] = "array", s.each.schema(), s.min, s.max
	case kindInteger:
		m["type"], m["minimum"], m["maximum"] = "integer", s.min, s.max
	case kindNumber:
		m["type"], m["minimum"], m["maximum"] = "number", s.min, s.max
	case kindTruth:
		m["type"] = "boolean"
	default:
		s.textSchema(m)
	}
	return m
}

func (s *shape) objectSchema(m map[string]any) {
	properties, needed := map[string]any{}, []string{}
	for _, k := range s.keys {
		properties[k.name] = k.shape.schema()
		if k.required {
			needed = append(needed, k.name)
		}
	}
	m["type"], m["properties"], m["additionalProperties"] = "object", properties, false
	if len(needed) > 0 {
		m["required"] = needed
	}
	var choices []any
	for _, k := range s.either {
		choices = append(choices, map[string]any{"required": []string{k}})
	}
	if choices != nil {
		m["oneOf"] = choices
	}
}

// patterns are the forms of texts.
var patterns = map[kind]string{
	kindName:     namePattern,
	kindNetwork:  `^(\*|[A-Z]{2}|[0-9]{3}-[0-9]{2,3})$`,
	kindDuration: `^(0|([0-9]+(d|h|m|s|ms|us|ns))+)$`,
	kindPercent:  `^[0-9]{1,3}(\.[0-9]{1,2}0*)?%$`,
	kindRate:     rateRegexp.String(),
	kindPrice:    priceRegexp.String(),
	kindClock:    clockRegexp.String(),
	kindDates:    `^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?$`,
}

func (s *shape) textSchema(m map[string]any) {
	m["type"] = "string"
	switch {
	case s.kind == kindWord:
		m["enum"] = s.words
	case s.kind == kindName && len(s.words) > 0:
		delete(m, "type")
		m["anyOf"] = []any{map[string]any{"type": "string", "pattern": namePattern}, map[string]any{"enum": s.words}}
	case s.kind == kindCondition:
		m["minLength"], m["maxLength"] = 1, maxCondition
		m["description"] = s.doc + " It can read " + signalNames() + "."
	case s.kind == kindText:
		m["minLength"], m["maxLength"] = 1, maxText
		if s.pattern != "" {
			m["pattern"] = s.pattern
		}
	case s.kind == kindRaw:
		text := map[string]any{"type": "string", "minLength": 1, "maxLength": maxLine}
		if s.pattern != "" {
			text["pattern"] = s.pattern
		}
		delete(m, "type")
		m["anyOf"] = []any{text, map[string]any{"type": "number"}}
	default:
		m["pattern"] = patterns[s.kind]
	}
	if s.kind == kindDuration {
		m["description"] = fmt.Sprintf("%s A duration such as 30s, from %s to %s.", s.doc, route.Duration(s.min), route.Duration(s.max))
	}
}

// signalNames lists what conditions can read; the kinds of probe, which all have the same fields, once.
func signalNames() string {
	var names []string
	for _, v := range variables {
		if !under(v.name, "probe") || under(v.name, "probe."+probeKinds[0]) {
			names = append(names, v.label)
		}
	}
	return alternatives(names) + " (kinds of probe: " + alternatives(probeKinds) + ")"
}

func (s *shape) defaultValue() any {
	if s.kind == kindInteger || s.kind == kindNumber {
		return json.Number(s.byDefault)
	}
	return s.byDefault
}
