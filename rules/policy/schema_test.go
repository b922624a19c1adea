package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestSchemaHasTheKeysOfThePolicy(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatalf("got no JSON: %v", err)
	}
	var doc any
	if err := yaml.Unmarshal([]byte(whole), &doc); err != nil {
		t.Fatal(err)
	}
	want, got := map[string]bool{}, map[string]bool{}
	schemaKeys(schema, "", got)
	policyKeys(policyShape, doc, "", want)
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Errorf("got the keys %v, want %v", g, w)
	}
	if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("got $schema %v", schema["$schema"])
	}
}

// schemaKeys collects the names of all properties, as paths.
func schemaKeys(s map[string]any, path string, out map[string]bool) {
	for name, v := range asMap(s["properties"]) {
		out[path+"."+name] = true
		schemaKeys(asMap(v), path+"."+name, out)
		if asMap(v)["description"] == "" {
			out["no description: "+path+"."+name] = true
		}
	}
	if each := asMap(s["additionalProperties"]); each != nil {
		schemaKeys(each, path+".*", out)
	}
	if each := asMap(s["items"]); each != nil {
		schemaKeys(each, path+"[]", out)
	}
}

// policyKeys collects the keys that stand in a policy, as the same paths.
func policyKeys(s *shape, v any, path string, out map[string]bool) {
	switch x := v.(type) {
	case map[string]any:
		for name, each := range x {
			if s.kind == kindMap {
				policyKeys(s.each, each, path+".*", out)
				continue
			}
			out[path+"."+name] = true
			policyKeys(s.key(name).shape, each, path+"."+name, out)
		}
	case []any:
		for _, each := range x {
			policyKeys(s.each, each, path+"[]", out)
		}
	}
}

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }

// Every default of the schema is one that the parser takes: it is read from the same text.
func TestSchemaDefaultsParse(t *testing.T) {
	p := mustParse(t, skeleton+`guards: {min_active: 1, common_cause: {share: 60%, wait: 60s}, velocity: {changes: 2, in: 10m}, settle: 60s}`)
	if q := mustParse(t, skeleton); p.Guards.MinActive != q.Guards.MinActive || p.Guards.CommonCause != q.Guards.CommonCause || p.Guards.Velocity != q.Guards.Velocity || p.Guards.Settle != q.Guards.Settle {
		t.Errorf("got defaults %+v, want %+v", q.Guards, p.Guards)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"acme-uk", "bolt-uk", "ordered", "otp"}
	for word, want := range map[string]string{"acme-ul": "acme-uk", "amce-uk": "acme-uk", "ACME-UK": "acme-uk", "order": "ordered", "opt": "otp", "x": "", "zzz-uk": "", "otp": "", "": "",
		strings.Repeat("a", 100): ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q): got %q, want %q", word, got, want)
		}
	}
}
