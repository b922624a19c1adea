package policy

import (
	"errors"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// whole is a policy in which every key of this version stands.
const whole = `
version: 1
unknown_after: 3m
approval: 10m

routes:
  acme-uk:
    provider: acme
    networks: [GB]
    capacity: 50/s
    price: {GB: 0.0312 EUR, 234-15: 0.0299 EUR}
    trickle: 1%
    senders: {otp: [GB]}
    tags: {tier: gold}
  bolt-uk: {provider: bolt, networks: [GB, FR], capacity: 6000/m, price: {"*": 0.0330 EUR}, trickle: 0.5%}
  zoom: {provider: zoom, networks: ["*"], capacity: 7200/h, trickle: 1%}

classes:
  otp:  {mode: propose, within: 30s, objective: 90%, select: ordered, retry_after: 20s, unknown_after: 1m}
  bulk: {mode: act, within: 1h, objective: 85%, select: weighted, approval: 1h, receipt_deadline: 4m}

lanes:
  - {class: otp,  network: GB, order: [acme-uk, bolt-uk]}
  - {class: bulk, network: 234-15, share: {acme-uk: 60, bolt-uk: 40}}
  - {class: "*",  network: "*", order: [zoom, acme-uk]}

rules:
  - name: receipts-collapse
    class: [otp]
    per: lane
    mode: propose
    demote:
      when: delivery.evidence >= 12.0 && delivery.messages >= 5.0
      for: 5s
    promote:
      when: delivery.recovered >= 4.6
      for: 1s
      ramp: [5%, 25%, 100%]
      step: 3m
      mode: observe
    hold_down: {base: 6m, factor: 1.5, max: 5h, decay: 7h}
  - name: bind-lost
    class: ["*"]
    demote:  {when: 'probe["bind"].failures >= 3', for: 10s}
    promote: {when: 'probe["bind"].successes >= 3', for: 2m}

guards:
  min_active: 2
  common_cause: {share: 70%, wait: 30s}
  corroborate: {class: [otp], signals: [silence], wait: 50s}
  velocity: {changes: 3, in: 20m}
  settle: 90s
  max_demoted: 50%
  capacity: propose
  price_rise: {limit: 25%, then: hold}

calendars:
  holidays: [2026-12-25, 2026-12-28..2027-01-01]

windows:
  - {name: quiet, freeze: promotions, days: [sat, sun], dates: [2026-11-27], calendars: [holidays], zone: Europe/London}
  - {name: night, class: [bulk], network: [GB], ignore: refusals, outside: {from: "10:00", to: "21:00"}, zone: Asia/Kolkata}
  - {name: rush, freeze: changes, from: "22:00", to: "02:30"}
`

func mustParse(t testing.TB, texts ...string) *Policy {
	t.Helper()
	p, err := Parse(files(texts...))
	if err != nil {
		t.Fatalf("got problems, want none:\n%v", err)
	}
	return p
}

func files(texts ...string) []File {
	var out []File
	for i, s := range texts {
		out = append(out, File{Name: string(rune('a'+i)) + ".yml", Data: []byte(s)})
	}
	return out
}

func problemsOf(t testing.TB, texts ...string) []string {
	t.Helper()
	_, err := Parse(files(texts...))
	if err == nil {
		return nil
	}
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got error %T, want Problems", err)
	}
	return strings.Split(problems.Error(), "\n")
}

func TestParseReadsEveryKey(t *testing.T) {
	p := mustParse(t, whole)
	acme := p.Route("acme-uk")
	if acme == nil || acme.Provider != "acme" || acme.Capacity != 50 || acme.Trickle != 100 || acme.Tags["tier"] != "gold" {
		t.Errorf("got route %+v", acme)
	}
	if got := []float64{p.Route("bolt-uk").Capacity, p.Route("zoom").Capacity}; !slices.Equal(got, []float64{100, 2}) {
		t.Errorf("got capacities %v, want 100 and 2 a second", got)
	}
	wantClasses := []Class{
		{Name: "bulk", Mode: route.Act, Within: time.Hour, Objective: .85, Select: Weighted, ReceiptDeadline: 4 * time.Minute, UnknownAfter: 3 * time.Minute, Approval: time.Hour, chosen: true},
		{Name: "otp", Mode: route.Propose, Within: 30 * time.Second, Objective: .9, Select: Ordered, RetryAfter: 20 * time.Second, UnknownAfter: time.Minute, Approval: 10 * time.Minute, chosen: true},
	}
	if !reflect.DeepEqual(p.Classes, wantClasses) {
		t.Errorf("got classes %+v, want %+v", p.Classes, wantClasses)
	}
	bulk := p.Lane(route.Lane{Class: "bulk", Network: "234-15"})
	if bulk == nil || bulk.Select != Weighted || !reflect.DeepEqual(bulk.Shares, map[route.ID]int{"acme-uk": 6000, "bolt-uk": 4000}) || bulk.UnknownAfter != 3*time.Minute {
		t.Errorf("got lane %+v", bulk)
	}
	wantGuards := Guards{MinActive: 2, CommonCause: CommonCause{.7, 30 * time.Second}, Settle: 90 * time.Second,
		Corroborate: Corroborate{[]route.Class{"otp"}, []string{"silence"}, 50 * time.Second}, Velocity: Velocity{3, 20 * time.Minute}, MaxDemoted: 5000, Capacity: ThenPropose, PriceRise: PriceRise{2500, ThenHold}}
	if !reflect.DeepEqual(p.Guards, wantGuards) {
		t.Errorf("got guards %+v, want %+v", p.Guards, wantGuards)
	}
	if len(p.Windows) != 3 || len(p.Windows[0].Dates) != 3 || p.Windows[1].Zone.String() != "Asia/Kolkata" || !p.Windows[1].Outside || p.Windows[1].From != 10*time.Hour ||
		!p.Windows[1].IgnoreRefusals || p.Windows[2].To != 150*time.Minute || p.Windows[2].Zone != time.UTC || p.Windows[2].Freeze != FreezeChanges {
		t.Errorf("got windows %+v", p.Windows)
	}
	r := p.Rules[0]
	if r.Mode != route.Propose || r.Per != "lane" || r.Demote.For != 5*time.Second || r.Demote.Ramp != nil || r.Promote.Mode != route.Observe || r.Promote.Step != 3*time.Minute {
		t.Errorf("got rule %+v", r)
	}
	if !slices.Equal(r.Promote.Ramp, []int{500, 2500, 10000}) || r.HoldDown != (HoldDown{6 * time.Minute, 1.5, 5 * time.Hour, 7 * time.Hour}) {
		t.Errorf("got ramp %v, hold-down %+v", r.Promote.Ramp, r.HoldDown)
	}
}

// bench and benchRules are the two files of a replayed incident: one of them JSON.
const (
	bench      = `{"version":1,"routes":{"A":{"provider":"pA","networks":["*"]},"B":{"provider":"pB","networks":["*"]}},"classes":{"otp":{"mode":"act","within":"30s"}},"lanes":[{"class":"otp","network":"262-01","order":["A","B"]}]}`
	benchRules = "version: 1\nrules:\n  - name: r\n    class: ['*']\n    demote: {when: delivery.evidence >= 12}\n    promote: {when: delivery.recovered >= 4.6}\n"
)

func TestParseFillsDefaults(t *testing.T) {
	p := mustParse(t, bench, benchRules)
	want := Guards{MinActive: 1, CommonCause: CommonCause{.6, time.Minute}, Settle: time.Minute, Velocity: Velocity{2, 10 * time.Minute}, Capacity: ThenHold}
	if !reflect.DeepEqual(p.Guards, want) {
		t.Errorf("got guards %+v, want %+v", p.Guards, want)
	}
	r := p.Rules[0]
	if r.HoldDown != (HoldDown{5 * time.Minute, 2, 4 * time.Hour, 6 * time.Hour}) || !slices.Equal(r.Promote.Ramp, []int{10000}) || r.Mode != "" || r.Per != "lane" {
		t.Errorf("got rule %+v", r)
	}
	if c := p.Class("otp"); c.Select != Ordered || c.ReceiptDeadline != 0 || c.UnknownAfter != 2*time.Minute || c.Approval != 15*time.Minute {
		t.Errorf("got class %+v", c)
	}
	if c := p.Class(route.AnyClass); c == nil || c.Mode != route.Observe {
		t.Errorf(`got class "*" %+v, want one that observes`, c)
	}
	slow := mustParse(t, skeleton+"approval: 1h\n", "classes: {bulk: {within: 5m}}\n").Class("bulk")
	if slow.ReceiptDeadline != 5*time.Minute || slow.Approval != time.Hour {
		t.Errorf("got class %+v, want a receipt deadline of 5m", slow)
	}
	if l := p.Lanes[0]; l.Select != Ordered || l.Shares != nil || l.UnknownAfter != 2*time.Minute {
		t.Errorf("got lane %+v", l)
	}
}

func TestLookups(t *testing.T) {
	p := mustParse(t, whole)
	acme, bolt := p.Route("acme-uk"), p.Route("bolt-uk")
	for _, c := range []struct {
		claim, got, want string
	}{
		{"an MCC-MNC has its own price", acme.Price("234-15").String(), "0.0299 EUR"},
		{"an MCC-MNC without one has its country's", acme.Price("234-10").String(), "0.0312 EUR"},
		{"a country does not have the price of one of its networks", acme.Price("FR").String(), ""},
		{`everything has the price of "*"`, bolt.Price("901-37").String(), "0.0330 EUR"},
		{"a route that is not there is nil", boolText(p.Route("nobody") == nil), "true"},
		{"a class that is not there is nil", boolText(p.Class("nobody") == nil), "true"},
		{"registered where the list says so", boolText(acme.Registered("otp", "234-15")), "true"},
		{"not registered elsewhere", boolText(acme.Registered("otp", "FR")), "false"},
		{"a class without a list is registered everywhere", boolText(acme.Registered("bulk", "FR")), "true"},
		{"every class needs every list", boolText(acme.Registered("*", "FR")), "false"},
		{"rules of the class and of every class judge a lane", ruleNames(p, "otp"), "receipts-collapse bind-lost"},
		{"rules of other classes do not", ruleNames(p, "bulk"), "bind-lost"},
		{"the lane of every class is judged by rules of every class", ruleNames(p, "*"), "bind-lost"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.claim, c.got, c.want)
		}
	}
	if got := p.LaneKeys(); route.Find(got, "otp", "234-15") != 0 || route.Find(got, "else", "FR") != 2 {
		t.Errorf("got lanes %v", got)
	}
}

func boolText(b bool) string { return strconv.FormatBool(b) }

func ruleNames(p *Policy, class route.Class) string {
	var names []string
	for _, r := range p.RulesFor(route.Lane{Class: class, Network: "GB"}) {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

func TestRevisionIsOfContentAndNames(t *testing.T) {
	a := mustParse(t, bench, benchRules).Revision
	swapped, err := Parse([]File{{"b.yml", []byte(benchRules)}, {"a.yml", []byte(bench)}})
	if err != nil || swapped.Revision != a {
		t.Errorf("other order of files: got revision %v (%v), want %s", swapped, err, a)
	}
	if b := mustParse(t, bench, benchRules+"\n").Revision; b == a {
		t.Errorf("other content: got the same revision %s", a)
	}
	if !strings.HasPrefix(a, "sha256:") || len(a) != len("sha256:")+12 {
		t.Errorf("got revision %q, want sha256: and twelve digits", a)
	}
}

func TestSharesGoToTheLargestRemainder(t *testing.T) {
	for _, c := range []struct {
		claim   string
		weights map[route.ID]int64
		want    map[route.ID]int
	}{
		{"thirds: the smaller id gets what is left", map[route.ID]int64{"b": 1, "a": 1, "c": 1}, map[route.ID]int{"a": 3334, "b": 3333, "c": 3333}},
		{"the larger remainder first", map[route.ID]int64{"a": 1, "b": 5}, map[route.ID]int{"a": 1667, "b": 8333}},
		{"a weight of 0 stands by", map[route.ID]int64{"a": 0, "b": 7}, map[route.ID]int{"a": 0, "b": 10000}},
	} {
		var sum int64
		for _, w := range c.weights {
			sum += w
		}
		if got := shares(c.weights, sum); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.claim, got, c.want)
		}
	}
}

// The core is arithmetic: nothing here reads a file, a clock or a die.
func TestImportsArePure(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := goparser.ParseFile(token.NewFileSet(), name, nil, goparser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if slices.Contains([]string{"context", "os", "net", "net/http", "sync", "sync/atomic", "log", "log/slog", "math/rand", "math/rand/v2"}, path) ||
				strings.HasPrefix(path, "signalbox/") && path != "signalbox/rules/route" {
				t.Errorf("%s imports %s, want nothing of the kind", name, path)
			}
		}
		if b, err := os.ReadFile(name); err != nil || strings.Contains(string(b), "time.Now(") {
			t.Errorf("%s reads the clock (%v)", name, err)
		}
	}
}
