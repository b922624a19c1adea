package access

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
	"gopkg.in/yaml.v3"
)

// webConfig is exporter-toolkit's file, read.
type webConfig struct {
	tls     *tls.Config // nil: plain HTTP
	headers map[string]string
	users   map[string]string // bcrypt hashes by name
	decoy   string            // one of them, checked for users that do not exist, so that the time does not tell
	limit   *rate.Limiter     // of all calls together; nil: none
	every   time.Duration     // of limit
}

// costMost bounds how much work one check of a password may be: about two seconds.
const costMost = 15

// readWeb reads the file as exporter-toolkit does; "" is no TLS, no users, no headers.
func readWeb(file string, logger *slog.Logger) (*webConfig, error) {
	w := &webConfig{}
	if file == "" {
		return w, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := web.Config{TLSConfig: web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, HTTPConfig: web.HTTPConfig{HTTP2: true}}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, unsaid(file, err)
	}
	c.TLSConfig.SetDirectory(filepath.Dir(file))
	if w.users, err = usersOf(file, &c); err != nil {
		return nil, err
	}
	for _, hashed := range w.users {
		if w.decoy == "" || hashed[4:] > w.decoy[4:] { // the dearest: behind $2y$ stands the cost
			w.decoy = hashed
		}
	}
	if err := web.Validate(file); err != nil { // with what it knows beyond the shape
		return nil, unsaid(file, err)
	}
	w.headers = c.HTTPConfig.Header
	if w.every = c.RateLimiterConfig.Interval; w.every > 0 {
		w.limit = rate.NewLimiter(rate.Every(w.every), max(1, c.RateLimiterConfig.Burst))
	}
	if c.TLSConfig.IsEnabled() {
		if w.tls, err = tlsOf(&c, logger); err != nil {
			return nil, unsaid(file, err)
		}
	}
	return w, nil
}

// unsaid leaves out what a parser repeats of the file, which has keys and passwords in it.
func unsaid(file string, err error) error {
	return fmt.Errorf("%s: %s", file, quoted.ReplaceAllString(err.Error(), "a value"))
}

func usersOf(file string, c *web.Config) (map[string]string, error) {
	users := map[string]string{}
	for name, secret := range c.Users {
		cost, err := bcrypt.Cost([]byte(secret))
		if err != nil || cost > costMost {
			return nil, fmt.Errorf("%s: basic_auth_users.%s: want a bcrypt hash of a cost up to %d, such as htpasswd -nBC 10 writes", file, shorten(name), costMost)
		}
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: basic_auth_users: %w", file, err)
		}
		users[name] = string(secret)
	}
	return users, nil
}

// tlsOf is what the file says of TLS. Certificates are read again from their files, so that a renewal needs no restart;
// while what is there is no pair, the last good one stays.
func tlsOf(c *web.Config, logger *slog.Logger) (*tls.Config, error) {
	t, err := web.ConfigToTLSConfig(&c.TLSConfig)
	if err != nil {
		return nil, err
	}
	pair := &certificate{read: t.GetCertificate, logger: logger}
	if _, err := pair.get(nil); err != nil {
		return nil, err
	}
	t.GetCertificate = pair.get
	t.NextProtos = []string{"http/1.1"}
	if c.HTTPConfig.HTTP2 {
		t.NextProtos = []string{"h2", "http/1.1"}
	}
	return t, nil
}

// certificateAge is how long a certificate is used before its files are read again.
const certificateAge = 2 * time.Second

// certificate is the last good pair of a certificate and its key.
type certificate struct {
	read   func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	logger *slog.Logger

	mu   sync.Mutex // guards the rest; whoever reads the files holds up other handshakes, which would do it too
	last *tls.Certificate
	at   time.Time
	bad  bool
}

func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && time.Since(c.at) < certificateAge {
		return c.last, nil
	}
	fresh, err := c.read(hello)
	c.at = time.Now()
	if err == nil {
		c.last, c.bad = fresh, false
		return fresh, nil
	}
	if c.last == nil {
		return nil, err
	}
	if !c.bad {
		c.logger.Error("certificate not renewed", "err", err)
	}
	c.bad = true
	return c.last, nil
}

// TLS is the configuration of the listener, which follows what is in force; nil: plain HTTP.
func (k *Keeper) TLS() *tls.Config {
	if k.rules.Load().web.tls == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.rules.Load().web.tls, nil }}
}

// Wrap adds the headers that the file asks for to every answer, and holds all calls together to its rate.
func (k *Keeper) Wrap(next http.Handler) http.Handler {
	if k.o.WebConfig == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := k.rules.Load().web
		for name, value := range c.headers {
			w.Header().Set(name, value)
		}
		if c.limit != nil && !c.limit.Allow() {
			k.crowded.Inc()
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests: rate_limit of the web configuration", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
