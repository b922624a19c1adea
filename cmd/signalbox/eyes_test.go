package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/probes"
	"signalbox/probes/smpp"
	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

// bindPolicy demotes a route whose bind fails.
const bindPolicy = `
version: 1
routes:
  acme: {provider: acme, networks: [GB]}
  bolt: {provider: bolt, networks: [GB]}
classes: {otp: {mode: act}}
lanes: [{class: otp, network: GB, order: [acme, bolt]}]
rules:
  - name: bind-lost
    class: ["*"]
    demote: {when: 'probe["bind"].failures >= 3'}
    promote: {when: 'probe["bind"].successes >= 3'}
`

// startCarrier runs an SMSC until the test ends.
func startCarrier(t *testing.T, o smsctest.Options) *smsctest.Server {
	t.Helper()
	s, err := smsctest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// startSeeing runs a daemon with a policy and settings of probes, and returns its URL.
func startSeeing(t *testing.T, policy, settings string) (url string) {
	t.Helper()
	url, _ = startSeeingBy(t, policy, settings)
	return url
}

// startSeeingBy is startSeeing, and returns the file of the settings too.
func startSeeingBy(t *testing.T, policy, settings string) (url, file string) {
	t.Helper()
	dir := t.TempDir()
	o := daemonOptions{policy: filepath.Join(dir, "policy.yml"), data: filepath.Join(dir, "data"), listen: "127.0.0.1:0", mode: route.Act, logger: slog.New(slog.DiscardHandler)}
	writeText(t, o.policy, policy)
	if settings != "" {
		o.probes = filepath.Join(dir, "probes.yml")
		writeText(t, o.probes, settings)
	}
	return startWith(t, o), o.probes
}

// runUntilEnd runs a daemon until the test ends.
func runUntilEnd(t *testing.T, d *daemon) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// getJSON asks until what is answered is as wanted, for at most a minute.
func getJSON[T any](t *testing.T, url string, wanted func(T) bool) T {
	t.Helper()
	var last []byte
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		last, err = io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var v T
		if response.StatusCode == http.StatusOK && json.Unmarshal(last, &v) == nil && wanted(v) {
			return v
		}
	}
	t.Fatalf("%s: the last answer was %s", url, last)
	panic("unreachable")
}

// phaseOf is the phase of a route in the first lane of a table.
func phaseOf(table *route.Table, id route.ID) route.Phase {
	for _, e := range table.Lanes[0].Routes {
		if e.Route == id {
			return e.Phase
		}
	}
	return route.Active
}

func isDemoted(id route.ID) func(route.Table) bool {
	return func(table route.Table) bool { return len(table.Lanes) > 0 && phaseOf(&table, id) == route.Demoted }
}

// probing are settings with a fast bind probe for each route at an address.
func probing(addresses map[string]string) string {
	text := "version: 1\ndefaults: {every: 1s, recheck: 500ms, timeout: 1s}\nroutes:\n"
	for id, address := range addresses {
		text += fmt.Sprintf("  %s: {smpp: {address: %q, system_id: probe}}\n", id, address)
	}
	return text
}

// A carrier that refuses the probe's bind is demoted, and the screen says why from the probe's own words.
func TestProbesDemoteARouteThatCannotBeBoundTo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a round or two in real time")
	}
	sick := smsctest.Healthy()
	sick.BindStatus = smsctest.StatusBindFail
	acme, bolt := startCarrier(t, smsctest.Options{Behaviour: &sick}), startCarrier(t, smsctest.Options{})
	url := startSeeing(t, bindPolicy, probing(map[string]string{"acme": acme.Addr(), "bolt": bolt.Addr()}))
	getJSON(t, url+"/routes", isDemoted("acme"))
	why := getJSON(t, url+"/api/v1/explain?route=acme&class=otp&network=GB", func(e struct{ Probes []route.Watch }) bool { return len(e.Probes) == 1 })
	last := why.Probes[0].Last
	if last == nil || len(last.Steps) != 2 || last.Steps[1].Said != "refused: ESME_RBINDFAIL" {
		t.Errorf("got %+v", last)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"explain", "acme", "--server", url}, &out, io.Discard); code != 0 || !strings.Contains(out.String(), "refused: ESME_RBINDFAIL (0x0000000d)") {
		t.Errorf("explain: got %d\n%s", code, &out)
	}
}

// Of three vantage points one cut off changes nothing, and two that fail demote.
func TestVantagePointsMustAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some rounds in real time")
	}
	acme, bolt := startCarrier(t, smsctest.Options{}), startCarrier(t, smsctest.Options{})
	url := startSeeing(t, bindPolicy, "")
	dead := deadAddress(t)
	start := func(name, address string) (stop func()) {
		dir := t.TempDir()
		file := filepath.Join(dir, "probes.yml")
		writeText(t, file, probing(map[string]string{"acme": address, "bolt": bolt.Addr()}))
		v, err := newVantage(vantageOptions{name: name, controller: url, file: file, data: dir, logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- v.run(ctx) }()
		return func() { cancel(); <-ended }
	}
	defer start("amsterdam", acme.Addr())()
	defer start("cork", dead)() // it is cut off from acme
	stop := start("berlin", acme.Addr())
	type lane struct {
		Routes []struct {
			Route   route.ID
			Signals *route.Signals
		}
	}
	bind := func(l lane) route.Probe {
		for _, r := range l.Routes {
			if r.Route == "acme" && r.Signals != nil {
				return r.Signals.Probes["tcp"]
			}
		}
		return route.Probe{}
	}
	got := bind(getJSON(t, url+"/api/v1/lanes/otp/GB", func(l lane) bool { return bind(l).Places == 3 }))
	if got.Failures != 0 {
		t.Errorf("one of three is cut off: got %+v", got)
	}
	getJSON(t, url+"/api/v1/probes?route=acme", func(a struct{ Probes []route.Watch }) bool { return len(a.Probes) == 3 })
	stop()
	defer start("berlin", dead)()
	getJSON(t, url+"/api/v1/lanes/otp/GB", func(l lane) bool { return bind(l).Failures >= 3 })
}

// deadAddress is an address at which nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Settings that were read and are not used, as when the policy beside them is refused, change nothing: budgets stay, and so
// does the alarm about a probe that is stopped.
func TestSettingsThatAreOnlyReadChangeNothing(t *testing.T) {
	text := func(messages int) string {
		return fmt.Sprintf("version: 1\nnumbers: {uk: {number: \"447700900001\", network: GB}}\nbudget: {messages: %d}\nroutes: {acme: {http: {url: \"http://127.0.0.1:1/\", message: {numbers: [uk]}}}}\n", messages)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "probes.yml")
	writeText(t, file, text(1))
	registry := prometheus.NewRegistry()
	e, err := newEyes(eyesOptions{file: file, data: dir, logger: slog.New(slog.DiscardHandler), sink: discard}, registry)
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, file, text(1000))
	next, err := e.read()
	if err != nil {
		t.Fatal(err)
	}
	spend := func() error { return e.ledger.Spend(time.Now(), "acme", route.Price{}) }
	if err := spend(); err != nil {
		t.Fatal(err)
	}
	if err := spend(); !errors.Is(err, probes.ErrBudget) {
		t.Errorf("after reading: got %v, want the budget in force", err)
	}
	if e.use(next); spend() != nil {
		t.Error("in force: want the new budget")
	}
}

// A vantage point that tells nothing any more makes room.
func TestVantagePointsThatAreGoneAreForgotten(t *testing.T) {
	e := &eyes{far: map[string]farWatches{}}
	for i := range vantagesMost {
		if err := e.PutWatches(fmt.Sprint("v", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PutWatches("one more", nil); err == nil {
		t.Error("got no error, want one")
	}
	e.far["v7"] = farWatches{at: time.Now().Add(-2 * vantageAge)}
	if err := e.PutWatches("one more", nil); err != nil {
		t.Error(err)
	}
}

// A vantage point has no webhooks: what comes back by them it could wait for only in vain, and each look would count against
// the route. Nor does it need the keys of webhooks in settings that it shares with the controller.
func TestVantagePointsWaitForNothingThatCannotCome(t *testing.T) {
	const shared = `
version: 1
numbers: {uk: {number: "447700900001", network: GB}}
budget: {messages: 10}
inbound: {phones: {secret: {env: NOT_SET_HERE}, from: $.from, text: $.text}}
receipts: {keys: {kannel: {secrets: [{env: NOT_SET_HERE}]}}}
routes:
  acme: {smpp: {address: "127.0.0.1:1"%s}, message: {numbers: [uk]%s}}
  nova: {http: {url: "http://127.0.0.1:1/", message_id: $.id, message: {numbers: [uk]%s}}}
`
	const receives = ", bind: transceiver, dedicated_account: true"
	for name, c := range map[string]struct{ bind, message, http, want string }{
		"submits only":                  {want: ""},
		"a receipt by its own session":  {bind: receives, message: ", receipt: 60s", want: ""},
		"a phone on another's session":  {bind: receives, http: ", handset: 60s", want: ""},
		"a receipt to a transmitter":    {message: ", receipt: 60s", want: "probes.yml:8:76: routes.acme.message.receipt: want smpp that receives, or none"},
		"a receipt by an API's webhook": {http: ", receipt: 60s", want: "routes.nova.http.message.receipt: want smpp that receives, or none"},
		"a phone by a webhook":          {message: ", handset: 60s", want: "routes.acme.message.handset: want a route whose smpp receives, or none"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "probes.yml")
		writeText(t, file, fmt.Sprintf(shared, c.bind, c.message, c.http))
		_, err := newVantage(vantageOptions{name: "cork", controller: "http://127.0.0.1:1", file: file, data: dir, logger: slog.New(slog.DiscardHandler)})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestTimesOfStepsAreShort(t *testing.T) {
	for took, want := range map[time.Duration]string{0: "0s", 220*time.Microsecond + 7: "220us", 1603 * time.Microsecond: "2ms", 813516 * time.Microsecond: "814ms", 5001239 * time.Microsecond: "5s", 72340 * time.Millisecond: "1m12s300ms"} {
		if got := tookText(took); got != want {
			t.Errorf("%d: got %s, want %s", took, got, want)
		}
	}
}

// How SMPP spells ids is SMPP's: the ids of messages by an API are as they are, also beside a bind, and after a reload that
// sends by the other way.
func TestIDsAreSpeltByTheWayThatSends(t *testing.T) {
	const by = `
version: 1
numbers: {uk: {number: "447700900001", network: GB}}
budget: {messages: 10}
routes: {acme: {smpp: {address: "127.0.0.1:1"}%s}}
`
	const smppSends, httpSends = `, message: {numbers: [uk]}`, `, http: {url: "http://127.0.0.1:1/", message_id: $.id, message: {numbers: [uk], receipt: 60s}}`
	file := filepath.Join(t.TempDir(), "probes.yml")
	writeText(t, file, fmt.Sprintf(by, smppSends))
	e, err := newEyes(eyesOptions{file: file, data: filepath.Dir(file), logger: slog.New(slog.DiscardHandler), sink: discard}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	own := func(id string) bool {
		return e.box.Own(&route.Observation{Kind: route.KindReceipt, Route: "acme", Message: id, Status: route.StatusDelivered}, func(*route.Observation) bool { return false })
	}
	e.box.Sent("acme", smpp.IDsAsIs.Response("0abc-1"))
	if !own("ABC-1") {
		t.Error("sent by SMPP: want the receipt known in capitals and without zeros")
	}
	writeText(t, file, fmt.Sprintf(by, httpSends))
	next, err := e.read()
	if err != nil {
		t.Fatal(err)
	}
	e.use(next)
	e.box.Sent("acme", "0abc-2")
	if own("ABC-2") || !own("0abc-2") {
		t.Error("sent by an API: want the receipt known by the id as it is, and by no other")
	}
}

// A collector of counters whose settings stay as they are goes on over a reload: a new one would tell nothing for twenty
// minutes.
func TestCountersAreReadOnOverAReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "probes.yml")
	text := func(delay string) {
		writeText(t, file, "version: 1\ncollectors: {prometheus: [{name: p, url: \"http://127.0.0.1:1\", delay: "+delay+", headers: {X-Scope-OrgID: {env: TENANT}}}]}\n")
	}
	t.Setenv("TENANT", "a")
	text("10s")
	e, err := newEyes(eyesOptions{file: file, data: filepath.Dir(file), logger: slog.New(slog.DiscardHandler), sink: discard}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	goesOn := func() bool {
		next, err := e.read()
		if err != nil {
			t.Fatal(err)
		}
		was := e.current().counters["p"]
		e.use(next)
		return next.counters["p"] == was
	}
	if !goesOn() {
		t.Error("nothing has changed: got a new one")
	}
	t.Setenv("TENANT", "b")
	if goesOn() {
		t.Error("another header: want a new one")
	}
	text("20s")
	if goesOn() {
		t.Error("another delay: want a new one")
	}
	if !goesOn() {
		t.Error("nothing has changed any more: got a new one")
	}
}
