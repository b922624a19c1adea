// Package settings reads the file that says how signalbox looks at routes: accounts, test numbers, budgets, providers'
// webhooks and the systems whose counters it reads. Policies are in git and hold nothing secret; this file is the
// machine's own, and holds the places of secrets, never the secrets.
//
// Every problem is told at once, each with its line, column and path.
package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"signalbox/rules/route"
)

// Settings is the whole file.
type Settings struct {
	Version    int                `yaml:"version"` // 1
	Numbers    map[string]Number  `yaml:"numbers"` // test numbers, by the names that probes use
	Defaults   Times              `yaml:"defaults"`
	Budget     Budget             `yaml:"budget"` // of a day, over all routes
	Routes     map[route.ID]Route `yaml:"routes"`
	Receipts   Receipts           `yaml:"receipts"`
	Inbound    map[string]Inbound `yaml:"inbound"` // by name: /inbound/{name}
	Collectors Collectors         `yaml:"collectors"`

	file   string
	places map[string]place // of what was read, by path
}

// Number is a test number.
type Number struct {
	Number  string        `yaml:"number"` // digits, international
	Network route.Network `yaml:"network"`
}

// Times is how often something looks; zero fields are the defaults.
type Times struct {
	Every   route.Duration `yaml:"every"`   // default 10s
	Recheck route.Duration `yaml:"recheck"` // after a change, until it is clear; default 2s
	Timeout route.Duration `yaml:"timeout"` // of each step; default 5s
}

// Budget bounds a day of UTC; zero fields bound nothing.
type Budget struct {
	Messages int         `yaml:"messages"`
	Money    route.Price `yaml:"money"`
}

// Route is how one route is looked at.
type Route struct {
	SMPP    *SMPP    `yaml:"smpp"`
	Message *Message `yaml:"message"` // sent over smpp
	HTTP    *HTTP    `yaml:"http"`
}

// SMPP is an account at an SMSC.
type SMPP struct {
	Address          string         `yaml:"address"` // host:port
	TLS              *TLS           `yaml:"tls"`     // absent: plain TCP
	SystemID         string         `yaml:"system_id"`
	Password         Secret         `yaml:"password"`
	SystemType       string         `yaml:"system_type"`
	Bind             string         `yaml:"bind"`              // transmitter (default), or transceiver with dedicated_account
	DedicatedAccount bool           `yaml:"dedicated_account"` // nobody else uses the account, so that the probe may receive
	MessageID        string         `yaml:"message_id"`        // as_is (default), response_hex, receipt_hex, both_hex
	ReceiptDetect    string         `yaml:"receipt_detect"`    // esm_class (default), tlv, text
	AcceptedFinal    bool           `yaml:"accepted_final"`    // ACCEPTD is the last word of its receipts
	Every            route.Duration `yaml:"every"`
	Recheck          route.Duration `yaml:"recheck"`
	Timeout          route.Duration `yaml:"timeout"`
}

// Receives reports whether the session may receive.
func (p *SMPP) Receives() bool { return p.Bind == "receiver" || p.Bind == "transceiver" }

// TLS is what is asked of a server's certificate.
type TLS struct {
	ServerName string `yaml:"server_name"` // default: the host of the address
	CAFile     string `yaml:"ca_file"`     // default: what the system trusts
	CertFile   string `yaml:"cert_file"`   // our own certificate, with key_file
	KeyFile    string `yaml:"key_file"`
}

// Message is what is sent to test numbers.
type Message struct {
	Every   route.Duration `yaml:"every"`   // default 5m
	Numbers []string       `yaml:"numbers"` // names
	From    string         `yaml:"from"`
	Text    string         `yaml:"text"`    // holds {token}; default "Test {token}"
	Price   route.Price    `yaml:"price"`   // of one message, to hold against a budget of money
	Receipt route.Duration `yaml:"receipt"` // how long the receipt may take; absent: none is asked for
	Handset route.Duration `yaml:"handset"` // how long the message may take to the phone; absent: nobody looks
	Budget  Budget         `yaml:"budget"`  // of a day
}

// HTTP is a request to a provider's API. Its values are templates (text/template) with .Token, .Number and .Text of the
// message and .Secret of the secrets by name.
type HTTP struct {
	Every     route.Duration    `yaml:"every"` // default 1m, or 5m where it sends
	Timeout   route.Duration    `yaml:"timeout"`
	Method    string            `yaml:"method"` // default GET
	URL       string            `yaml:"url"`
	Headers   map[string]string `yaml:"headers"`
	Body      string            `yaml:"body"`
	Secrets   map[string]Secret `yaml:"secrets"`
	TLS       *TLS              `yaml:"tls"`
	Expect    Expect            `yaml:"expect"`
	MessageID string            `yaml:"message_id"` // JSONPath of the id that the answer gives; with message: it sends
	Message   *Message          `yaml:"message"`
}

// Expect is what an answer must be like; zero fields ask nothing but the defaults.
type Expect struct {
	Status []int          `yaml:"status"` // default 200 to 299
	JSON   string         `yaml:"json"`   // JSONPath that must find something
	Equals string         `yaml:"equals"` // which must be this; "" asks for anything
	Within route.Duration `yaml:"within"` // default: timeout
}

// Receipts is what providers' webhooks need.
type Receipts struct {
	Routes map[string]route.ID `yaml:"routes"` // routes by the provider's connector or SMSC id
	Keys   map[string]Key      `yaml:"keys"`   // by format: twilio, vonage, …
}

// Key is what one format's signatures are checked by. Where it is given, a call without a valid one is refused.
type Key struct {
	Secrets []Secret `yaml:"secrets"` // any of them may have signed, so that they can be changed
	URL     string   `yaml:"url"`     // under which the provider calls, where a proxy stands before us
	Topics  []string `yaml:"topics"`  // aws: ARNs that are taken
}

// Inbound is a webhook by which messages to test numbers come back. Values are JSONPaths, or names of a form's fields.
type Inbound struct {
	Secret Secret `yaml:"secret"` // that the call has as ?key= or as a bearer token
	From   string `yaml:"from"`
	To     string `yaml:"to"`
	Text   string `yaml:"text"`
}

// Collectors are systems whose counters are read.
type Collectors struct {
	Prometheus []Prometheus `yaml:"prometheus"`
	Kannel     []Gateway    `yaml:"kannel"`
	Jasmin     []Gateway    `yaml:"jasmin"`
}

// Prometheus is a server that speaks the Prometheus API.
type Prometheus struct {
	Name     string            `yaml:"name"`
	URL      string            `yaml:"url"`
	Every    route.Duration    `yaml:"every"`    // default 15s
	Interval route.Duration    `yaml:"interval"` // of its scrapes or rules; default 15s
	Delay    route.Duration    `yaml:"delay"`    // of a usual receipt; default 10s
	TLS      *TLS              `yaml:"tls"`
	Headers  map[string]Secret `yaml:"headers"` // such as Authorization and X-Scope-OrgID
	Queries  map[string]string `yaml:"queries"` // submitted, refused, throttled, delivered, failed; default: the shipped rules
	Params   map[string]string `yaml:"params"`  // of each call: dedup=true for Thanos, latency_offset=1s for VictoriaMetrics
}

// Gateway is a gateway's own status.
type Gateway struct {
	Name   string              `yaml:"name"`
	URL    string              `yaml:"url"` // with the password left out
	Secret Secret              `yaml:"password"`
	Every  route.Duration      `yaml:"every"`  // default 10s
	Queue  int                 `yaml:"queue"`  // messages above which the queue is too long; default 1000
	Routes map[string]route.ID `yaml:"routes"` // by SMSC id or connector; an id that is absent is the route's own
}

// Secret is where a secret is.
type Secret struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"` // relative to the settings
}

// Set reports whether there is one.
func (s Secret) Set() bool { return s != Secret{} }

// Read is the secret, without the line's end. Errors name its place, never itself.
func (s Secret) Read() (string, error) {
	if s.Env != "" {
		if v := os.Getenv(s.Env); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("environment variable %s %w", s.Env, errEmpty)
	}
	data, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	if v := strings.TrimRight(string(data), "\r\n"); v != "" {
		return v, nil
	}
	return "", fmt.Errorf("file %s %w", s.File, errEmpty)
}

// most is how long the file may be.
const most = 4 << 20

// Load reads the file at a path. Its error is a Problems where the file can be read.
func Load(path string) (*Settings, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > most {
		err = fmt.Errorf("want at most %d bytes, got %d", most, info.Size())
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return Parse(path, data)
}

// Parse reads the text of the file of that name. Relative paths in it are relative to the file.
func Parse(name string, data []byte) (*Settings, error) {
	d := &decoder{file: name, places: map[string]*yamlNode{}}
	s := &Settings{}
	d.parse(data, s)
	if len(d.problems) == 0 || s.Version != 0 {
		s.check(d)
	}
	if err := d.result(); err != nil {
		return nil, err
	}
	s.file, s.places = name, map[string]place{}
	for path, n := range d.places {
		s.places[path] = place{n.Line, n.Column}
	}
	s.root(filepath.Dir(name))
	return s, nil
}

// names are the keys of a map in order.
func names[K ~string, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var errEmpty = errors.New("is empty")
