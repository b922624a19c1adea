package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const whole = `
version: 1
numbers:
  uk-1: {number: "447700900001", network: 234-15}
  uk-2: {number: "447700900002", network: GB}
budget: {messages: 2000, money: 50.00 EUR}
routes:
  acme:
    smpp:
      address: smsc.example.net:3550
      tls: {ca_file: ca.pem}
      system_id: probe
      password: {file: acme.password}
    message: {numbers: [uk-1, uk-2], from: Probe, price: 0.03 EUR, receipt: 60s, handset: 2m}
  nova:
    http:
      url: https://api.example.net/balance
      headers: {Authorization: "Bearer {{.Secret.key}}"}
      secrets: {key: {env: NOVA_KEY}}
      expect: {status: [200], json: $.state, equals: ok, within: 2s}
receipts:
  routes: {smsc-1: acme}
  keys: {twilio: {secrets: [{env: TWILIO_TOKEN}], url: "https://hooks.example.net"}}
inbound:
  phones: {secret: {env: PHONES}, from: $.from, text: $.text}
collectors:
  prometheus: [{name: mimir, url: "http://127.0.0.1:9090", headers: {X-Scope-OrgID: {env: TENANT}}}]
  kannel: [{name: k1, url: "http://127.0.0.1:13000/status.xml", password: {file: /etc/kannel.password}, routes: {a: acme}}]
`

func TestParseFillsInDefaults(t *testing.T) {
	s, err := Parse("/etc/signalbox/probes.yml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	p, m, h := s.Routes["acme"].SMPP, s.Routes["acme"].Message, s.Routes["nova"].HTTP
	if p.Bind != "transmitter" || p.MessageID != "as_is" || p.Every.D() != 10*time.Second || p.Recheck.D() != 2*time.Second || p.Timeout.D() != 5*time.Second {
		t.Errorf("smpp: got %+v", p)
	}
	if p.Password.File != "/etc/signalbox/acme.password" || p.TLS.CAFile != "/etc/signalbox/ca.pem" {
		t.Errorf("paths: got %s and %s", p.Password.File, p.TLS.CAFile)
	}
	if m.Every.D() != 5*time.Minute || m.Text != "Test {token}" || m.Receipt.D() != time.Minute || m.Handset.D() != 2*time.Minute {
		t.Errorf("message: got %+v", m)
	}
	if h.Method != "GET" || h.Every.D() != time.Minute || h.Expect.Equals != "ok" {
		t.Errorf("http: got %+v", h)
	}
	if s.Receipts.Routes["smsc-1"] != "acme" || s.Receipts.Keys["twilio"].Secrets[0].Env != "TWILIO_TOKEN" {
		t.Errorf("receipts: got %+v", s.Receipts)
	}
	c := s.Collectors
	if c.Prometheus[0].Delay.D() != 10*time.Second || c.Kannel[0].Queue != 1000 || c.Kannel[0].Secret.File != "/etc/kannel.password" {
		t.Errorf("collectors: got %+v", c)
	}
}

// Every mistake is told with its place, all at once, and nothing secret is repeated.
func TestParseTellsEveryMistake(t *testing.T) {
	for name, c := range map[string]struct{ change, into, want string }{
		"an unknown key":              {"system_id: probe", "systemid: probe", `probes.yml:12:7: routes.acme.smpp.systemid: want one of address, tls, system_id, password, system_type, bind, dedicated_account, message_id, receipt_detect, accepted_final, every, recheck, timeout, got "systemid" (did you mean "system_id"?)`},
		"a password in the file":      {"password: {file: acme.password}", "password: hunter2", "probes.yml:13:17: routes.acme.smpp.password: want {env: NAME} or {file: PATH}, got a value: secrets do not belong into this file"},
		"both places":                 {"{file: acme.password}", "{file: a, env: B}", "routes.acme.smpp.password: want {env: NAME} or {file: PATH}, one of them"},
		"no port":                     {"smsc.example.net:3550", "smsc.example.net", `probes.yml:10:16: routes.acme.smpp.address: want HOST:PORT, got "smsc.example.net"`},
		"a number with a plus":        {`number: "447700900001"`, `number: "+447700900001"`, "numbers.uk-1: want an international number of 7 to 15 digits"},
		"a number nobody gave":        {"numbers: [uk-1, uk-2]", "numbers: [uk-1, uk-3]", `routes.acme.message.numbers[1]: want a name under numbers, got "uk-3" (did you mean "uk-1"?)`},
		"a duration without a unit":   {"receipt: 60s", "receipt: 60", `routes.acme.message.receipt: want a duration such as 30s, got "60"`},
		"a duration of nothing":       {"receipt: 60s", "receipt: 0", "want a duration above 0"},
		"a list for a word":           {"from: Probe", "from: [Probe]", "routes.acme.message.from: want a text, got a list"},
		"a word for a list":           {"numbers: [uk-1, uk-2]", "numbers: uk-1", `routes.acme.message.numbers: want a list, got "uk-1"`},
		"a price in floating point":   {"price: 0.03 EUR", "price: 3e-2", `routes.acme.message.price: want a price such as "0.0312 EUR", got "3e-2"`},
		"money without a price":       {"price: 0.03 EUR, ", "", "routes.acme.message: want price: there is a budget of money"},
		"no budget at all":            {"budget: {messages: 2000, money: 50.00 EUR}", "", "routes.acme.message: want a budget"},
		"a receiver on shared ground": {"system_id: probe", "system_id: probe\n      bind: transceiver", "routes.acme.smpp.bind: want transmitter, or dedicated_account: true"},
		"a bind nobody knows":         {"system_id: probe", "system_id: probe\n      bind: transmiter", `want transmitter, receiver, transceiver, got "transmiter" (did you mean "transmitter"?)`},
		"a text without a token":      {"from: Probe", "from: Probe, text: hello", "routes.acme.message.text: want {token} in it once"},
		"a password in a URL":         {"http://127.0.0.1:9090", "http://me:secret@127.0.0.1:9090", "collectors.prometheus[0].url: want no password in the URL"},
		"no URL":                      {"https://api.example.net/balance", "api.example.net", `routes.nova.http.url: want a URL that begins with http:// or https://, got "api.example.net"`},
		"a format nobody knows":       {"keys: {twilio:", "keys: {twillio:", `receipts.keys.twillio: want one of aws, infobip, jasmin, kannel, messagebird, plivo, sinch, telnyx, twilio, vonage, got "twillio" (did you mean "twilio"?)`},
		"an inbound for everybody":    {"secret: {env: PHONES}, ", "", "inbound.phones: want secret"},
		"messages by two ways":        {"    message: {numbers: [uk-1, uk-2]", "    http: {url: \"http://x/\", message: {numbers: [uk-1], price: 0.03 EUR}}\n    message: {numbers: [uk-1, uk-2]", "routes.acme.http.message: want one of message and http.message: a route has one budget"},
		"a price in another coin":     {"price: 0.03 EUR", "price: 0.03 USD", `routes.acme.message.price: want it in EUR, as the budget of money is, got "0.03 USD"`},
		"nobody hears the phone":      {"inbound:\n  phones: {secret: {env: PHONES}, from: $.from, text: $.text}\n", "", "routes.acme.message.handset: want an inbound webhook, or a route whose smpp receives, got none"},
		"a budget of nothing":         {"budget: {messages: 2000", "budget: {messages: 0", "probes.yml:6:20: budget.messages: want 1 or more, got 0, which would bound nothing: leave message out to send none"},
		"a number among the names":    {"numbers: [uk-1, uk-2]", "numbers: [\"447700900001\"]", `want a name under numbers, got "…001"`},
		"a number for a network":      {"network: 234-15", "network: \"447700900001\"", "numbers.uk-1.network: want a network"},
		"another version":             {"version: 1", "version: 2", "probes.yml:2:10: version: want 1, got 2"},
		"a key twice":                 {"  uk-2:", "  uk-1:", "numbers.uk-1: want each key once"},
		"an alias":                    {"network: GB", "network: *x", "want YAML"},
		"no YAML":                     {"version: 1", "version: [", "want YAML"},
	} {
		text := strings.Replace(whole, c.change, c.into, 1)
		if text == whole {
			t.Fatalf("%s: the change does nothing", name)
		}
		_, err := Parse("probes.yml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "447700900001") || strings.Contains(err.Error(), "secret@")) {
			t.Errorf("%s: it repeats what is secret: %v", name, err)
		}
	}
}

func TestParseTellsAllMistakesAtOnceInTheirOrder(t *testing.T) {
	_, err := Parse("p.yml", []byte("version: 1\nroutes:\n  a: {smpp: {address: x}}\n  b: {}\nnumbers: 5\nnonsense: 1\n"))
	ps, ok := err.(Problems)
	if !ok || len(ps) != 4 {
		t.Fatalf("got %v, want 4 problems", err)
	}
	for i, line := range []int{3, 4, 5, 6} {
		if ps[i].Line != line {
			t.Errorf("problem %d: got line %d, want %d", i, ps[i].Line, line)
		}
	}
}

func TestSecretsAreReadFromTheirPlaces(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIGNALBOX_TEST_SECRET", "other")
	for _, c := range []struct {
		s         Secret
		want, err string
	}{
		{Secret{File: file}, "s3cret", ""},
		{Secret{Env: "SIGNALBOX_TEST_SECRET"}, "other", ""},
		{Secret{Env: "SIGNALBOX_TEST_NONE"}, "", "environment variable SIGNALBOX_TEST_NONE is empty"},
		{Secret{File: filepath.Join(dir, "empty")}, "", "is empty"},
		{Secret{File: filepath.Join(dir, "none")}, "", "no such file"},
	} {
		got, err := c.s.Read()
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: got %q, %v", c.s, got, err)
		}
	}
}

func TestLoadOfWhatIsNotThere(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yml")); err == nil || !strings.Contains(err.Error(), "none.yml") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("version: 1\nroutes: {a: {smpp: {address: 'x:1', password: hunter2}}}")
	f.Add("a: &x {b: *x}")
	f.Add("version: 1\nversion: 1\n? [a]\n: b")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("p.yml", []byte(text))
		if (s == nil) == (err == nil) {
			t.Errorf("got %v and %v", s, err)
		}
		if s == nil {
			return
		}
		for id, r := range s.Routes {
			if id == "" && r.SMPP == nil && r.HTTP == nil {
				t.Error("a route that nobody can look at was taken")
			}
		}
	})
}
