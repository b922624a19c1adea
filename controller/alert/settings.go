package alert

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Settings say who is told. They hold the places of secrets, never the secrets.
type Settings struct {
	Version      int           `yaml:"version"`      // 1
	Source       string        `yaml:"source"`       // of CloudEvents: this signalbox, among several; default "signalbox"
	ExternalURL  string        `yaml:"external_url"` // under which people reach it; "": alerts link nowhere
	Alertmanager *Alertmanager `yaml:"alertmanager"`
	Webhooks     []Webhook     `yaml:"webhooks"`
}

// Alertmanager is all peers of one, each of which is told everything.
type Alertmanager struct {
	URLs    []string          `yaml:"urls"`
	Labels  map[string]string `yaml:"labels"`  // added to every alert
	Headers map[string]Secret `yaml:"headers"` // such as Authorization
	CAFile  string            `yaml:"ca_file"` // of https; default: what the system trusts
}

// The formats of webhooks.
const (
	FormatCloudEvents  = "cloudevents"
	FormatAlertmanager = "alertmanager"
)

// Webhook is a receiver of events.
type Webhook struct {
	Name       string            `yaml:"name"`
	URL        string            `yaml:"url"`
	URLFile    string            `yaml:"url_file"`    // for URLs that are secrets themselves
	Format     string            `yaml:"format"`      // cloudevents (default) or alertmanager
	SecretFile string            `yaml:"secret_file"` // one whsec_… of Standard Webhooks, or two while one takes the other's place
	SecretEnv  string            `yaml:"secret_env"`  // the same, in the environment
	Events     []string          `yaml:"events"`      // such as route.demoted or route.*; absent: all
	Headers    map[string]Secret `yaml:"headers"`
	CAFile     string            `yaml:"ca_file"`
}

// Secret is where a secret is.
type Secret struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"` // relative to the settings
}

// read is the secret, without the line's end. Errors name its place, never itself.
func (s Secret) read() (string, error) {
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

var errEmpty = errors.New("is empty")

// settingsMost is how long the file may be, and webhooksMost and peersMost how many there may be.
const (
	settingsMost = 1 << 20
	webhooksMost = 32
	peersMost    = 16
)

// Parse reads the text of the file of that name. Its error is a Problems. Relative paths in it are relative to the file.
func Parse(name string, data []byte) (*Settings, error) {
	d := &decoder{file: name}
	s := d.settings(data)
	return s, d.result()
}

func (d *decoder) settings(data []byte) *Settings {
	d.places = map[string]*yamlNode{}
	s := &Settings{}
	d.parse(data, s)
	if len(d.problems) == 0 || s.Version != 0 {
		s.check(d)
		s.root(filepath.Dir(d.file))
	}
	return s
}

// check says what is wrong with values that are of the right kind, and fills in what is left out.
func (s *Settings) check(d *decoder) {
	if s.Version != 1 {
		d.at("version", "want 1, got %d", s.Version)
	}
	if s.Source == "" {
		s.Source = "signalbox"
	}
	if _, err := url.Parse(s.Source); err != nil {
		d.at("source", "want a URI reference such as signalbox or https://signalbox.example.net")
	}
	if s.ExternalURL != "" {
		checkURL(d, "external_url", s.ExternalURL)
	}
	if s.Alertmanager != nil {
		s.Alertmanager.check(d)
	}
	if len(s.Webhooks) > webhooksMost {
		d.at("webhooks", "want at most %d, got %d", webhooksMost, len(s.Webhooks))
	}
	names := map[string]bool{}
	for i := range s.Webhooks {
		w, path := &s.Webhooks[i], fmt.Sprintf("webhooks[%d]", i)
		if !webhookName.MatchString(w.Name) || names[w.Name] || w.Name == allPeers {
			d.at(path+".name", "want a name of its own, of at most 32 letters, digits and . _ -, got %q", shorten(w.Name))
		}
		names[w.Name] = true
		w.check(d, path)
	}
}

var (
	webhookName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
	labelName   = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// identity are the labels that are ours.
var identity = []string{"alertname", "route", "class", "network", "sender", "severity"}

func (a *Alertmanager) check(d *decoder) {
	if len(a.URLs) == 0 || len(a.URLs) > peersMost {
		d.at("alertmanager.urls", "want 1 to %d URLs, one for each peer, got %d", peersMost, len(a.URLs))
	}
	for i, text := range a.URLs {
		path := fmt.Sprintf("alertmanager.urls[%d]", i)
		checkURL(d, path, text)
		if slices.Index(a.URLs, text) < i {
			d.at(path, "want each peer once, got it again")
		}
	}
	for _, name := range sortedKeys(a.Labels) {
		if !labelName.MatchString(name) || slices.Contains(identity, name) {
			d.at("alertmanager.labels."+name, "want a label that is none of %s", strings.Join(identity, ", "))
		}
	}
	checkHeaders(d, "alertmanager", a.Headers)
}

func (w *Webhook) check(d *decoder, path string) {
	if (w.URL == "") == (w.URLFile == "") {
		d.at(path, "want url or url_file, one of them")
	}
	if w.URL != "" {
		checkURL(d, path+".url", w.URL)
	}
	if w.Format == "" {
		w.Format = FormatCloudEvents
	}
	if formats := []string{FormatCloudEvents, FormatAlertmanager}; !slices.Contains(formats, w.Format) {
		d.at(path+".format", "want %s, got %q%s", strings.Join(formats, " or "), shorten(w.Format), didYouMean(w.Format, formats))
	}
	switch {
	case w.SecretFile != "" && w.SecretEnv != "":
		d.at(path, "want secret_file or secret_env, one of them")
	case w.SecretFile == "" && w.SecretEnv == "" && w.Format == FormatCloudEvents:
		d.at(path, "want secret_file or secret_env: by its signature a receiver knows that an event is ours")
	}
	for i, e := range w.Events {
		if len(typesNamed(e)) == 0 {
			d.at(fmt.Sprintf("%s.events[%d]", path, i), "want an event such as route.demoted, or route.*, got %q%s", shorten(e), didYouMean(e, typeNames()))
		}
	}
	checkHeaders(d, path, w.Headers)
}

func checkHeaders(d *decoder, path string, headers map[string]Secret) {
	for _, name := range sortedKeys(headers) {
		at := path + ".headers." + name
		lower := strings.ToLower(name)
		if !headerName.MatchString(name) || strings.HasPrefix(lower, "webhook-") || slices.Contains([]string{"content-type", "content-length", "host"}, lower) {
			d.at(at, "want the name of a header that signalbox does not set")
		}
	}
}

func checkURL(d *decoder, path, text string) {
	if err := goodURL(text); err != nil {
		d.at(path, "%v", err)
	}
}

// goodURL says what is wrong with a URL, without repeating it.
func goodURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("want a URL that begins with http:// or https://")
	case u.User != nil:
		return errors.New("want no password in the URL: headers take one from a file")
	}
	return nil
}

// typesNamed are the types that a word of the settings means: one, or all of a group such as route.*.
func typesNamed(word string) []Type {
	group, all := strings.CutSuffix(word, "*")
	var out []Type
	for _, t := range Types {
		if string(t) == word || all && strings.HasSuffix(group, ".") && strings.HasPrefix(string(t), group) {
			out = append(out, t)
		}
	}
	return out
}

func typeNames() []string {
	names := make([]string, len(Types))
	for i, t := range Types {
		names[i] = string(t)
	}
	return names
}

// root makes relative paths relative to a folder.
func (s *Settings) root(dir string) {
	file := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	headers := func(all map[string]Secret) {
		for name, secret := range all {
			file(&secret.File)
			all[name] = secret
		}
	}
	if a := s.Alertmanager; a != nil {
		headers(a.Headers)
		file(&a.CAFile)
	}
	for i := range s.Webhooks {
		w := &s.Webhooks[i]
		file(&w.URLFile)
		file(&w.SecretFile)
		file(&w.CAFile)
		headers(w.Headers)
	}
}
