package api

import (
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func description(t *testing.T) map[string]any {
	t.Helper()
	var d map[string]any
	if err := yaml.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDescriptionHasWhatIsServed holds openapi.yaml and the endpoints together, in both directions.
func TestDescriptionHasWhatIsServed(t *testing.T) {
	var described, served []string
	for path, item := range description(t)["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	for _, e := range newWorld(t).handler.(*api).endpoints() {
		served = append(served, e.method+" "+e.path)
	}
	for _, s := range served {
		if !slices.Contains(described, s) {
			t.Errorf("%s is served and not described", s)
		}
	}
	for _, d := range described {
		if !slices.Contains(served, d) {
			t.Errorf("%s is described and not served", d)
		}
	}
}

// TestDescriptionHoldsTogether finds references to nothing, and values that a slip in the YAML made empty.
func TestDescriptionHoldsTogether(t *testing.T) {
	d := description(t)
	walkYAML(d, "", func(path string, v any) {
		if v == nil {
			t.Errorf("%s is empty", path)
		}
		ref, ok := v.(string)
		if !ok || !strings.HasSuffix(path, "/$ref") {
			return
		}
		at := any(d)
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		if at == nil {
			t.Errorf("%s: %s is not there", path, ref)
		}
	})
}

func walkYAML(v any, path string, visit func(path string, v any)) {
	visit(path, v)
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			walkYAML(x, path+"/"+k, visit)
		}
	case []any:
		for _, x := range v {
			walkYAML(x, path+"/-", visit)
		}
	}
}

// TestDescriptionNamesPathParameters: an operation without its path parameters is not valid OpenAPI.
func TestDescriptionNamesPathParameters(t *testing.T) {
	for path, item := range description(t)["paths"].(map[string]any) {
		for part := range strings.SplitSeq(path, "/") {
			name := strings.Trim(part, "{}")
			if name == part {
				continue
			}
			found := false
			walkYAML(item, "", func(at string, v any) {
				found = found || v == name && strings.HasSuffix(at, "/parameters/-/name")
			})
			if !found {
				t.Errorf("%s: parameter %s is not described", path, name)
			}
		}
	}
}
