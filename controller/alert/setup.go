package alert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

type yamlNode = yaml.Node

// Setup is settings with everything that they name, ready to come into force.
type Setup struct {
	file     string
	settings *Settings
	hooks    []*hook
	peers    []*peer
}

// hook is a webhook that is ready: its URL, its secrets.
type hook struct {
	name    string
	post    poster
	format  string
	secrets []secret
	wants   map[Type]bool // nil: all
}

// peer is one Alertmanager that is ready.
type peer struct {
	name   string // alertmanager/HOST:PORT
	post   poster
	labels map[string]string
}

// poster is where something is posted, and with which headers. Neither is ever told.
type poster struct {
	url     string
	headers http.Header
	tls     *tls.Config
}

// Load reads the settings at a path and everything that they name, and reaches no network. Its error is a Problems where
// the file can be read.
func Load(path string) (*Setup, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > settingsMost {
		err = fmt.Errorf("want at most %d bytes, got %d", settingsMost, info.Size())
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if bare := (*fs.PathError)(nil); errors.As(err, &bare) {
		err = bare.Err
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	d := &decoder{file: path}
	s := &Setup{file: path, settings: d.settings(data)}
	if len(d.problems) == 0 {
		s.build(d)
	}
	if err := d.result(); err != nil {
		return nil, err
	}
	return s, nil
}

// build reads what the settings name.
func (s *Setup) build(d *decoder) {
	for i := range s.settings.Webhooks {
		s.hooks = append(s.hooks, buildHook(d, fmt.Sprintf("webhooks[%d]", i), &s.settings.Webhooks[i]))
	}
	a := s.settings.Alertmanager
	if a == nil {
		return
	}
	for _, base := range a.URLs {
		p := &peer{name: "alertmanager/" + hostOf(base), labels: a.Labels}
		p.post.url = strings.TrimSuffix(base, "/") + "/api/v2/alerts"
		p.post.fill(d, "alertmanager", a.Headers, a.CAFile)
		s.peers = append(s.peers, p)
	}
}

func buildHook(d *decoder, path string, w *Webhook) *hook {
	h := &hook{name: w.Name, format: w.Format, post: poster{url: w.URL}}
	if w.URLFile != "" {
		text, err := Secret{File: w.URLFile}.read()
		if err == nil {
			err = goodURL(text)
		}
		bad(d, path+".url_file", err)
		h.post.url = text
	}
	if w.SecretFile != "" || w.SecretEnv != "" {
		text, err := Secret{Env: w.SecretEnv, File: w.SecretFile}.read()
		if err == nil {
			h.secrets, err = parseSecrets(text)
		}
		bad(d, path+map[bool]string{true: ".secret_env", false: ".secret_file"}[w.SecretEnv != ""], err)
	}
	h.post.fill(d, path, w.Headers, w.CAFile)
	if w.Events != nil {
		h.wants = map[Type]bool{}
		for _, e := range w.Events {
			for _, t := range typesNamed(e) {
				h.wants[t] = true
			}
		}
	}
	return h
}

func bad(d *decoder, path string, err error) {
	if err != nil {
		d.at(path, "%v", err)
	}
}

// fill reads headers and certificates.
func (p *poster) fill(d *decoder, path string, headers map[string]Secret, caFile string) {
	p.headers = http.Header{}
	for _, name := range sortedKeys(headers) {
		value, err := headers[name].read()
		if strings.ContainsAny(value, "\r\n") {
			err = fmt.Errorf("want one line")
		}
		bad(d, path+".headers."+name, err)
		p.headers.Set(name, value)
	}
	if caFile == "" {
		return
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		bad(d, path+".ca_file", err)
		return
	}
	p.tls = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !p.tls.RootCAs.AppendCertsFromPEM(pem) {
		d.at(path+".ca_file", "want certificates in PEM, got none")
	}
}

// Receivers are the names of all receivers, webhooks first.
func (s *Setup) Receivers() []string {
	var names []string
	for _, h := range s.hooks {
		names = append(names, h.name)
	}
	for _, p := range s.peers {
		names = append(names, p.name)
	}
	return names
}

// Listed is a receiver as the settings have it.
type Listed struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`             // webhook or alertmanager
	Format  string   `json:"format,omitempty"` // of a webhook
	Events  []string `json:"events,omitempty"` // that it asks for; absent: all
	Secrets int      `json:"secrets"`          // that sign what it is told
}

// List are all receivers, webhooks first.
func (s *Setup) List() []Listed {
	out := []Listed{}
	for i, h := range s.hooks {
		out = append(out, Listed{Name: h.name, Kind: "webhook", Format: h.format, Events: s.settings.Webhooks[i].Events, Secrets: len(h.secrets)})
	}
	for _, p := range s.peers {
		out = append(out, Listed{Name: p.name, Kind: "alertmanager"})
	}
	return out
}

// wantsEvent reports whether a webhook is to be told of a type.
func (h *hook) wantsEvent(t Type) bool { return h.wants == nil || h.wants[t] || t == Test }

func hostOf(base string) string {
	_, rest, _ := strings.Cut(base, "://")
	return strings.TrimSuffix(rest, "/")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
