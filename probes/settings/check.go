package settings

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"signalbox/probes"
	"signalbox/rules/route"
)

type yamlNode = yaml.Node

// Defaults.
const (
	defaultEvery   = 10 * time.Second
	defaultRecheck = 2 * time.Second
	defaultTimeout = 5 * time.Second
	messageEvery   = 5 * time.Minute
	httpEvery      = time.Minute
	scrapeEvery    = 15 * time.Second
	longestEvery   = 20 * time.Second
)

// check says what is wrong with values that are of the right kind, and fills in what is left out.
func (s *Settings) check(d *decoder) {
	if s.Version != 1 {
		d.at("version", "want 1, got %d", s.Version)
	}
	fill(&s.Defaults.Every, defaultEvery)
	fill(&s.Defaults.Recheck, defaultRecheck)
	fill(&s.Defaults.Timeout, defaultTimeout)
	d.boundsNothing("budget.messages", s.Budget.Messages)
	for _, name := range names(s.Numbers) {
		n := s.Numbers[name]
		if err := (probes.Number{Digits: n.Number, Network: n.Network}).Check(); err != nil {
			d.at("numbers."+name, "%v", err)
		}
	}
	for _, id := range names(s.Routes) {
		r := s.Routes[id]
		s.checkRoute(d, "routes."+string(id), &r)
		s.Routes[id] = r
	}
	s.checkReceipts(d)
	for _, name := range names(s.Inbound) {
		in, path := s.Inbound[name], "inbound."+name
		switch {
		case !in.Secret.Set():
			d.at(path, "want secret: whoever reaches this could make a route look well")
		case in.From == "" || in.Text == "":
			d.at(path, "want from and text: JSONPaths such as $.text, or names of form fields")
		}
	}
	s.checkCollectors(d)
}

func fill(to *route.Duration, otherwise time.Duration) {
	if *to == 0 {
		*to = route.Duration(otherwise)
	}
}

func (s *Settings) checkRoute(d *decoder, path string, r *Route) {
	if r.SMPP == nil && r.HTTP == nil {
		d.at(path, "want smpp or http")
	}
	if r.SMPP != nil {
		s.checkSMPP(d, path+".smpp", r.SMPP)
	}
	if r.Message != nil {
		if r.SMPP == nil {
			d.at(path+".message", "want smpp beside it, over which it is sent; what an API sends stands under http.message")
		}
		s.checkMessage(d, path+".message", r.Message)
	}
	if r.HTTP != nil {
		s.checkHTTP(d, path+".http", r.HTTP)
		if r.Message != nil && r.HTTP.Message != nil {
			d.at(path+".http.message", "want one of message and http.message: a route has one budget")
		}
	}
}

func (s *Settings) checkSMPP(d *decoder, path string, p *SMPP) {
	checkAddress(d, path+".address", p.Address)
	checkTLS(d, path+".tls", p.TLS)
	oneOf(d, path+".bind", &p.Bind, "transmitter", "receiver", "transceiver")
	oneOf(d, path+".message_id", &p.MessageID, "as_is", "response_hex", "receipt_hex", "both_hex")
	oneOf(d, path+".receipt_detect", &p.ReceiptDetect, "esm_class", "tlv", "text")
	if p.Bind != "transmitter" && !p.DedicatedAccount {
		d.at(path+".bind", "want transmitter, or dedicated_account: true beside it, got %q: an SMSC may hand the senders' receipts to a probe that can receive", p.Bind)
	}
	fill(&p.Every, s.Defaults.Every.D())
	fill(&p.Recheck, s.Defaults.Recheck.D())
	fill(&p.Timeout, s.Defaults.Timeout.D())
}

func checkAddress(d *decoder, path, address string) {
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		d.at(path, "want HOST:PORT, got %q", shorten(address))
	}
}

func checkTLS(d *decoder, path string, t *TLS) {
	if t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		d.at(path, "want cert_file and key_file together")
	}
}

// oneOf makes an absent word the first one.
func oneOf(d *decoder, path string, to *string, want ...string) {
	if *to == "" {
		*to = want[0]
	}
	if !slices.Contains(want, *to) {
		d.at(path, "want %s, got %q%s", strings.Join(want, ", "), shorten(*to), didYouMean(*to, want))
	}
}

func (s *Settings) checkMessage(d *decoder, path string, m *Message) {
	fill(&m.Every, messageEvery)
	if m.Text == "" {
		m.Text = "Test {token}"
	}
	if strings.Count(m.Text, "{token}") != 1 {
		d.at(path+".text", "want {token} in it once")
	}
	if len(m.Numbers) == 0 {
		d.at(path, "want numbers: names of test numbers")
	}
	for i, name := range m.Numbers {
		if _, known := s.Numbers[name]; !known {
			known := names(s.Numbers)
			d.at(fmt.Sprintf("%s.numbers[%d]", path, i), "want a name under numbers, got %q%s", shorten(name), didYouMean(name, known))
		}
	}
	money := m.Budget.Money.Known() || s.Budget.Money.Known()
	if money && !m.Price.Known() {
		d.at(path, "want price: there is a budget of money to hold it against")
	}
	for _, budget := range [...]Budget{m.Budget, s.Budget} {
		if b := budget.Money; b.Known() && m.Price.Known() && b.Currency != m.Price.Currency {
			d.at(path+".price", "want it in %s, as the budget of money is, got %q: nothing could be held against it", b.Currency, m.Price)
		}
	}
	if m.Handset > 0 && !s.hearsPhones() {
		d.at(path+".handset", "want an inbound webhook, or a route whose smpp receives, got none: no message could come back, and each would count against the route")
	}
	d.boundsNothing(path+".budget.messages", m.Budget.Messages)
	switch bounded := m.Budget.Messages > 0 || s.Budget.Messages > 0; {
	case bounded:
	case !money:
		d.at(path, "want a budget, here or for all routes: how many messages a day, or how much money")
	case m.Price.Known() && m.Price.Amount.IsZero():
		d.at(path, "want a budget of messages, here or for all routes: a price of nothing never spends the money")
	}
}

// hearsPhones reports whether there is a way by which what test phones get comes back.
func (s *Settings) hearsPhones() bool {
	if len(s.Inbound) > 0 {
		return true
	}
	for _, r := range s.Routes {
		if r.SMPP != nil && r.SMPP.Receives() {
			return true
		}
	}
	return false
}

// boundsNothing refuses a bound that was written as nothing: whoever writes it means that nothing is to be sent.
func (d *decoder) boundsNothing(path string, n int) {
	if d.places[path] != nil && n == 0 {
		d.at(path, "want 1 or more, got 0, which would bound nothing: leave message out to send none")
	}
}

func (s *Settings) checkHTTP(d *decoder, path string, h *HTTP) {
	if h.Method == "" {
		h.Method = "GET"
	}
	checkURL(d, path+".url", h.URL)
	checkTLS(d, path+".tls", h.TLS)
	fill(&h.Timeout, s.Defaults.Timeout.D())
	if h.Message != nil {
		s.checkMessage(d, path+".message", h.Message)
		fill(&h.Every, h.Message.Every.D())
		if h.Message.Receipt > 0 && h.MessageID == "" {
			d.at(path, "want message_id: a JSONPath of the id in the answer, by which its receipt is known")
		}
	}
	fill(&h.Every, httpEvery)
	for i, status := range h.Expect.Status {
		if status < 100 || status > 599 {
			d.at(fmt.Sprintf("%s.expect.status[%d]", path, i), "want 100 to 599, got %d", status)
		}
	}
}

func checkURL(d *decoder, path, text string) {
	before, _, _ := strings.Cut(text, "{{")
	if u, err := url.Parse(before); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		d.at(path, "want a URL that begins with http:// or https://, got %q", shorten(text))
	} else if u.User != nil {
		d.at(path, "want no password in the URL")
	}
}

// Formats are the webhooks that can have keys.
var Formats = []string{"aws", "infobip", "jasmin", "kannel", "messagebird", "plivo", "sinch", "telnyx", "twilio", "vonage"}

func (s *Settings) checkReceipts(d *decoder) {
	for _, format := range names(s.Receipts.Keys) {
		k, path := s.Receipts.Keys[format], "receipts.keys."+format
		if !slices.Contains(Formats, format) {
			d.at(path, "want one of %s, got %q%s", strings.Join(Formats, ", "), shorten(format), didYouMean(format, Formats))
		}
		if k.URL != "" {
			checkURL(d, path+".url", k.URL)
		}
		if len(k.Secrets) == 0 && len(k.Topics) == 0 {
			d.at(path, "want secrets")
		}
	}
}

func (s *Settings) checkCollectors(d *decoder) {
	seen := map[string]bool{}
	named := func(path, way, name, url string) {
		if !sourceName.MatchString(name) || seen[way+name] {
			d.at(path, "want a name of its own, of at most 32 letters, digits and . _ -, got %q", shorten(name))
		}
		seen[way+name] = true
		checkURL(d, path+".url", url)
	}
	for i := range s.Collectors.Prometheus {
		p, path := &s.Collectors.Prometheus[i], fmt.Sprintf("collectors.prometheus[%d]", i)
		named(path, "promql", p.Name, p.URL)
		fill(&p.Every, scrapeEvery)
		fill(&p.Interval, scrapeEvery)
		fill(&p.Delay, 10*time.Second)
		checkTLS(d, path+".tls", p.TLS)
		if p.Every.D() > longestEvery || p.Interval.D() > longestEvery {
			d.at(path, "want every and interval of at most %s: a source that is silent for longer counts as away", route.Duration(longestEvery))
		}
		for _, q := range names(p.Queries) {
			if !slices.Contains(queries, q) {
				d.at(path+".queries."+q, "want one of %s, got %q%s", strings.Join(queries, ", "), shorten(q), didYouMean(q, queries))
			}
		}
	}
	for way, list := range map[string][]Gateway{"kannel": s.Collectors.Kannel, "jasmin": s.Collectors.Jasmin} {
		for i := range list {
			named(fmt.Sprintf("collectors.%s[%d]", way, i), way, list[i].Name, list[i].URL)
			fill(&list[i].Every, defaultEvery)
			if list[i].Queue == 0 {
				list[i].Queue = 1000
			}
		}
	}
}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

var queries = []string{"submitted", "refused", "throttled", "delivered", "failed"}

// root makes relative paths relative to a folder.
func (s *Settings) root(dir string) {
	file := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	tls := func(t *TLS) {
		if t != nil {
			file(&t.CAFile)
			file(&t.CertFile)
			file(&t.KeyFile)
		}
	}
	for _, r := range s.Routes {
		if r.SMPP != nil {
			file(&r.SMPP.Password.File)
			tls(r.SMPP.TLS)
		}
		if r.HTTP != nil {
			tls(r.HTTP.TLS)
			rooted(r.HTTP.Secrets, file)
		}
	}
	for _, k := range s.Receipts.Keys {
		for i := range k.Secrets {
			file(&k.Secrets[i].File)
		}
	}
	for name, in := range s.Inbound {
		file(&in.Secret.File)
		s.Inbound[name] = in
	}
	for i := range s.Collectors.Prometheus {
		rooted(s.Collectors.Prometheus[i].Headers, file)
		tls(s.Collectors.Prometheus[i].TLS)
	}
	for _, list := range [...][]Gateway{s.Collectors.Kannel, s.Collectors.Jasmin} {
		for i := range list {
			file(&list[i].Secret.File)
		}
	}
}

func rooted(secrets map[string]Secret, file func(*string)) {
	for name, secret := range secrets {
		file(&secret.File)
		secrets[name] = secret
	}
}
