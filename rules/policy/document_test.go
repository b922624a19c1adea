package policy

import (
	"encoding/json"
	"testing"
	"time"
)

var wordShape = WantRaw("a word", "A word.", "^[a-z]+$")

var docShape = WantObject("a document", "A document.",
	Required("name", WantText("a name", "Its name.", "")),
	Optional("quick", WantTruth("Whether it is quick.")),
	Optional("wait", WantDuration(0, time.Hour, "How long it waits.").Or("5s")),
	Optional("words", wordShape.Either(WantList(wordShape, 1, 3, "a list of words", "Words.")).Says("One word, or several.")),
	Optional("a", WantInteger(0, 9, "One way.")),
	Optional("b", WantShare("Another way.")),
).ExactlyOne("a", "b")

func openDoc(text string) *Document {
	return OpenDocument(File{Name: "d", Data: []byte(text)}, docShape)
}

func TestADocumentIsReadByItsShape(t *testing.T) {
	d := openDoc("name: x\nquick: true\nwords: [a, 0x3]\na: 4\n")
	o := d.Top().Object()
	name, _ := o.At("name").Text()
	wait, ok := o.At("wait").Duration()
	var words []string
	for _, v := range o.At("words").OneOrMore() {
		w, _ := v.Raw()
		words = append(words, w)
	}
	if name != "x" || !o.At("quick").Truth() || wait != 5*time.Second || !ok || len(words) != 2 || words[1] != "0x3" || o.At("a").Integer() != 4 || o.Has("b") || o.At("name").Line() != 1 {
		t.Errorf("got %q %v %v %q", name, o.At("quick").Truth(), wait, words)
	}
	if p := d.Problems(); p != nil {
		t.Errorf("got %v, want no problem", p)
	}
	if one := openDoc("name: x\nwords: a\nb: 3%").Top().Object().At("words").OneOrMore(); len(one) != 1 {
		t.Errorf("got %d words of one", len(one))
	}
	if none := openDoc("name: x\nb: 3%").Top().Object().At("words").OneOrMore(); none != nil {
		t.Errorf("got %d words of none", len(none))
	}
}

func TestProblemsOfADocument(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "d:1:1: want a document, got nothing",
		"[a]":                               "d:1:1: want a document, got a list",
		"nam: x\na: 1":                      `d:1:1: nam: want name, quick, wait, words, a or b, got "nam" (did you mean "name"?)`,
		"name: x\na: 1\nb: 2%":              "d:3:1: b: want only one of a or b, got both",
		"name: x\na: 1\nquick: yes":         `d:3:8: quick: want true or false, got "yes"`,
		"name: x\na: 1\nwords: [a, {}]":     "d:3:12: words[1]: want a word, got a mapping",
		"name: x\na: 1\nwords: []":          "d:3:8: words: want a list of words with 1 to 3 entries, got 0",
		"name: x\na: 1\nwords: ''":          "d:3:8: words: want a word of 1 to 4096 bytes, got 0",
		"name: &x y\na: 1":                  "d:1:7: want the value itself, got the anchor &x: anchors are not supported",
		"name: [\n":                         "",
		"name: x\na: 1\nwords: ab\n---\nx:": "d:4:1: want one document in a file, got a second one",
	} {
		d := openDoc(text)
		o := d.Top().Object()
		o.At("quick").Truth()
		for _, v := range o.At("words").OneOrMore() {
			v.Raw()
		}
		d.Problems()
		got := d.Problems().Error() // asked twice, it says the same
		if want != "" && got != want || got == "" {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestAProblemWithinAText(t *testing.T) {
	d := openDoc("name: \"a  bc\"\na: 1")
	v := d.Top().Object().At("name")
	v.SayAt(Offset("a  bc", 3), "want no %s%s", "b", v.Meant("bd", []string{"bc", "xy"}))
	if got, want := d.Problems().Error(), `d:1:11: name: want no b (did you mean "bc"?)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSchemaOfADocument(t *testing.T) {
	var s struct {
		Title      string
		Required   []string
		OneOf      []any
		Properties map[string]map[string]any
	}
	if err := json.Unmarshal(docShape.Schema("documents"), &s); err != nil {
		t.Fatal(err)
	}
	words, _ := s.Properties["words"]["anyOf"].([]any)
	if s.Title != "documents" || len(s.Required) != 1 || len(s.OneOf) != 2 || len(words) != 2 || s.Properties["quick"]["type"] != "boolean" || s.Properties["wait"]["default"] != "5s" {
		t.Errorf("got %+v", s)
	}
	if docs := WantCondition("x"); docs.shape.doc != "x" || condition.doc == "x" {
		t.Error("got the shape of policies changed by one of documents")
	}
}

func TestSignalsHaveTheirNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Signals() {
		seen[s] = true
	}
	for _, want := range []string{"delivery.evidence", `probe["bind"].ok`, "lane.rate"} {
		if !seen[want] {
			t.Errorf("got no %s among the signals", want)
		}
	}
}
