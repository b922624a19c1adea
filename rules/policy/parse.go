package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"signalbox/rules/route"
)

const maxFiles = 1_000

// File is one file of a policy. Its name is what problems say.
type File struct {
	Name string
	Data []byte
}

// Parse merges the files in the order of their names and returns the policy. Its error is a Problems with everything
// that is wrong, sorted by place; then there is no policy.
func Parse(files []File) (*Policy, error) {
	p := &parser{policy: &Policy{}, budget: maxComparisons}
	p.parse(files)
	if len(p.problems) > 0 {
		return nil, Problems(sorted(p.problems))
	}
	return p.policy, nil
}

// parser collects the policy and the problems of one Parse.
type parser struct {
	policy   *Policy
	problems []Problem
	compiler *compiler
	budget   int // words that may still be compared for suggestions

	unreadable bool // whether a file could not be read, so that what it declares cannot be missed

	tops      []fields // of each file, in their order
	routes    map[route.ID]*Route
	classes   map[route.Class]*Class
	calendars map[string][]DateSpan
	names     struct{ routes, classes, calendars []string } // sorted, for suggestions
}

func (p *parser) add(problem Problem) { p.problems = append(p.problems, problem) }

// maxComparisons bounds the work that suggestions may cause in a file full of mistakes.
const maxComparisons = 1_000_000

func (p *parser) didYouMean(word string, candidates []string) string {
	if p.budget -= len(candidates); p.budget < 0 {
		return ""
	}
	return didYouMean(word, candidates)
}

func (p *parser) parse(files []File) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	p.policy.Revision = revision(files)
	if len(files) == 0 || len(files) > maxFiles {
		p.add(place{"policy", 1, 1, ""}.problem(fmt.Sprintf("want 1 to %d files, got %d", maxFiles, len(files))))
		return
	}
	if p.open(files); p.unreadable {
		return
	}
	p.parseSettings()
	p.parseClasses()
	p.parseRoutes()
	p.parseLanes()
	p.parseRules()
	p.parseGuards()
	p.parseWindows()
	if len(p.problems) == 0 && len(p.policy.Lanes) == 0 {
		p.add(place{files[0].Name, 1, 1, "lanes"}.problem("want at least one lane in one of the files, got none"))
	}
}

func (p *parser) open(files []File) {
	for i, f := range files {
		src := &source{name: f.Name, data: f.Data}
		if i > 0 && files[i-1].Name == f.Name {
			node{p: p, file: src}.say("want each file once, got %q again", f.Name)
			continue
		}
		top := node{p: p, file: src, yaml: p.load(src), shape: policyShape}
		if top.yaml == nil {
			top.yaml = &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
		}
		p.tops = append(p.tops, top.object())
	}
}

// parseSettings reads what stands once for the whole policy.
func (p *parser) parseSettings() {
	versions := 0
	for _, top := range p.tops {
		if top.has("version") {
			versions++
			top.at("version").version()
		}
	}
	if versions == 0 {
		p.add(place{p.tops[0].file.name, 1, 1, "version"}.problem("want version: 1 in one of the files, got none"))
	}
}

func (n node) version() {
	if s, ok := n.scalar("!!int", "!!float", "!!str"); ok && (s != "1" || n.yaml.ShortTag() != "!!int") {
		n.wrong()
	}
}

// setting is the value of a top-level key that only one file may have, or its default.
func (p *parser) setting(name string) node {
	var found []node
	for _, top := range p.tops {
		if top.has(name) {
			found = append(found, top.at(name))
		}
	}
	if len(found) == 0 {
		return p.tops[0].at(name)
	}
	for _, again := range found[1:] {
		again.say("want %s in one file, got it again (first at %s)", name, found[0].place())
	}
	return found[0]
}

// revision is a hash over the names and contents of the files, which are sorted.
func revision(files []File) string {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, f := range files {
		part([]byte(f.Name))
		part(f.Data)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))[:12]
}

func (p *parser) parseClasses() {
	p.classes = make(map[route.Class]*Class)
	first := make(map[string]place)
	unknown, approve := p.setting("unknown_after").duration(), p.setting("approval").duration()
	for _, top := range p.tops {
		for _, e := range top.at("classes").dictionary() {
			if e.key.repeats(first, e.name, "class") {
				continue
			}
			p.policy.Classes = append(p.policy.Classes, e.value.class(route.Class(e.name)))
			p.policy.written.classes = cmp.Or(p.policy.written.classes, e.key.place())
		}
	}
	slices.SortFunc(p.policy.Classes, func(a, b Class) int { return cmp.Compare(a.Name, b.Name) })
	for i := range p.policy.Classes {
		c := &p.policy.Classes[i]
		c.UnknownAfter, c.Approval = cmp.Or(c.UnknownAfter, unknown), cmp.Or(c.Approval, approve)
		p.classes[c.Name] = c
		p.names.classes = append(p.names.classes, string(c.Name))
	}
	p.policy.anyClass = &Class{Name: route.AnyClass, Mode: route.Observe, Select: Ordered, UnknownAfter: unknown, Approval: approve}
}

// repeats reports a name that has been declared before, with both places.
func (n node) repeats(first map[string]place, name, what string) bool {
	if before, ok := first[name]; ok {
		n.say("want each %s once, got %s again (first at %s)", what, quote(name), before)
		return true
	}
	first[name] = n.place()
	return false
}

// quickWithin is the border under which a class is about seconds, so that silence counts at once.
const quickWithin = 5 * 60 * 1e9

func (n node) class(name route.Class) Class {
	o := n.object()
	c := Class{
		Name:            name,
		Mode:            o.at("mode").mode(),
		Within:          o.at("within").duration(),
		Objective:       float64(o.at("objective").percent()) / route.FullShare,
		Select:          cmp.Or(Select(o.at("select").word()), Ordered),
		RetryAfter:      o.at("retry_after").duration(),
		ReceiptDeadline: o.at("receipt_deadline").duration(),
		UnknownAfter:    o.at("unknown_after").duration(),
		Approval:        o.at("approval").duration(),
		chosen:          o.has("select"),
	}
	n.p.policy.written.modes = n.p.policy.written.modes || o.has("mode")
	if !o.has("receipt_deadline") && c.Within >= quickWithin {
		c.ReceiptDeadline = quickWithin
	}
	return c
}

func (p *parser) parseRoutes() {
	p.routes = make(map[route.ID]*Route)
	first := make(map[string]place)
	for _, top := range p.tops {
		for _, e := range top.at("routes").dictionary() {
			if !e.key.repeats(first, e.name, "route") {
				p.policy.Routes = append(p.policy.Routes, e.value.route(route.ID(e.name), e.key.place()))
			}
		}
	}
	if n := len(p.policy.Routes); n > maxRoutes {
		p.tops[0].say("want at most %d routes, got %d", maxRoutes, n)
	}
	slices.SortFunc(p.policy.Routes, func(a, b Route) int { return cmp.Compare(a.ID, b.ID) })
	for i := range p.policy.Routes {
		r := &p.policy.Routes[i]
		p.routes[r.ID] = r
		p.names.routes = append(p.names.routes, string(r.ID))
	}
}

func (n node) route(id route.ID, at place) Route {
	o := n.object()
	r := Route{
		ID:       id,
		Networks: o.at("networks").networks(),
		Capacity: o.at("capacity").rate(),
		Trickle:  o.at("trickle").percent(),
		place:    at,
	}
	r.Provider, _ = o.at("provider").name()
	for _, e := range o.at("price").dictionary() {
		if price, ok := e.value.price(); ok {
			put(&r.Prices, route.Network(e.name), price)
		}
	}
	for _, e := range o.at("senders").dictionary() {
		if class := route.Class(e.name); n.p.classes[class] == nil {
			e.key.say("want a class declared under classes, got %s%s", quote(e.name), n.p.didYouMean(e.name, n.p.names.classes))
		} else {
			put(&r.Senders, class, e.value.networks())
		}
	}
	for _, e := range o.at("tags").dictionary() {
		if s, ok := e.value.text(); ok {
			put(&r.Tags, e.name, s)
		}
	}
	return r
}

// put sets a key of a map that is nil while it is empty.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[k] = v
}
