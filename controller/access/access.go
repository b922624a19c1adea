// Package access keeps the doors of the listener: TLS, who may come in by a token or a password, how often, and what is
// written down of it.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Options say where the rules are.
type Options struct {
	WebConfig string // file of exporter-toolkit's web configuration: TLS, users, headers; "": none
	Tokens    string // file of tokens and of the roles of users; "": none

	Now        func() time.Time      // nil: time.Now
	Logger     *slog.Logger          // nil: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Keeper says who calls. It serves requests while rules change.
type Keeper struct {
	o         Options
	rules     atomic.Pointer[Rules]
	failures  *failures
	passwords *passwords
	crowded   prometheus.Counter
	loaded    prometheus.Gauge // 1: what the files said at the last look at them is in force

	mu     sync.Mutex // guards limits
	limits map[string]*limit
}

// Rules are what the files said when they were read. They do not change.
type Rules struct {
	web    *webConfig
	tokens map[hash]*entry
	users  map[string]string // roles by the names of web.users
}

// entry is a token as requests need it.
type entry struct {
	who      Caller
	hash     hash
	notAfter time.Time
	rate     float64
	burst    int
	limit    *limit // of its name; set before the rules come into force
}

// limit is how often a name may call.
type limit struct {
	rate  float64
	burst int
	*rate.Limiter
}

// New reads the rules.
func New(o Options) (*Keeper, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	k := &Keeper{o: o, failures: newFailures(), passwords: newPasswords(), limits: map[string]*limit{}}
	k.newMetrics(o.Registerer)
	rules, err := k.read()
	if err != nil {
		return nil, err
	}
	k.Use(rules)
	return k, nil
}

// read reads both files.
func (k *Keeper) read() (*Rules, error) {
	w, err := readWeb(k.o.WebConfig, k.o.Logger)
	if err != nil {
		return nil, fmt.Errorf("web configuration: %w", err)
	}
	r := &Rules{web: w, tokens: map[hash]*entry{}, users: map[string]string{}}
	roles := map[string]string{}
	if k.o.Tokens != "" {
		data, err := os.ReadFile(k.o.Tokens)
		if err != nil {
			return nil, fmt.Errorf("tokens: %w", err)
		}
		f, err := readTokens(k.o.Tokens, data)
		if err != nil {
			return nil, err
		}
		roles = f.users
		for _, t := range f.tokens {
			r.tokens[t.hash] = &entry{who: Caller{t.name, t.role}, hash: t.hash, notAfter: t.notAfter, rate: t.rate, burst: t.burst}
		}
	}
	for name := range w.users {
		if r.users[name] = "viewer"; roles[name] != "" {
			r.users[name] = roles[name]
		}
	}
	return r, r.check(k.o, roles)
}

// check looks at what concerns both files.
func (r *Rules) check(o Options, roles map[string]string) error {
	for name := range roles {
		if _, ok := r.web.users[name]; !ok {
			return fmt.Errorf("%s: users.%s: want a user that basic_auth_users of the web configuration has", o.Tokens, shorten(name))
		}
	}
	for _, e := range r.tokens {
		if _, ok := r.users[e.who.Name]; ok {
			return fmt.Errorf("%s: want names of tokens and users apart, got %s twice", o.Tokens, e.who.Name)
		}
	}
	if o.Tokens != "" && !r.Authenticate() {
		return fmt.Errorf("%s: want a token or a user, got none: nobody could come in", o.Tokens)
	}
	return nil
}

// Authenticate reports whether the rules have somebody to ask for.
func (r *Rules) Authenticate() bool { return len(r.tokens)+len(r.users) > 0 }

// Rules are those in force.
func (k *Keeper) Rules() *Rules { return k.rules.Load() }

// Encrypt reports whether the rules have TLS.
func (r *Rules) Encrypt() bool { return r.web.tls != nil }

// Read reads the files again. What it returns can come into force by Use, which cannot fail: what needs a restart is an
// error here.
func (k *Keeper) Read() (*Rules, error) {
	k.loaded.Set(0) // until it is used
	next, err := k.read()
	if err != nil {
		return nil, err
	}
	now := k.rules.Load()
	if next.Encrypt() != now.Encrypt() {
		return nil, errors.New("web configuration: want TLS as it was at the start, on or off: only a restart changes that")
	}
	if next.Authenticate() != now.Authenticate() {
		return nil, errors.New("web configuration: want authentication as it was at the start, on or off: only a restart changes that")
	}
	return next, nil
}

// Use brings rules into force. Names whose rate stays keep what they have used of it.
func (k *Keeper) Use(r *Rules) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := map[string]*limit{}
	of := func(name string, calls float64, burst int) *limit {
		if l := next[name]; l != nil {
			return l // of another token of the name
		}
		l := k.limits[name]
		if l == nil || l.rate != calls || l.burst != burst {
			l = &limit{calls, burst, rate.NewLimiter(rate.Limit(calls), burst)}
		}
		next[name] = l
		return l
	}
	for _, e := range r.tokens {
		e.limit = of(e.who.Name, e.rate, e.burst)
	}
	for name := range r.users {
		of(name, rateOfOthers, 2*rateOfOthers)
	}
	k.limits = next
	k.passwords.forget()
	k.rules.Store(r)
	k.loaded.Set(1)
}

const wrongCredentials = "want a token or a name and password that are known here, got others"

// Admit says whose call it is. The errors have methods that say more: Reason, Challenges, After.
func (k *Keeper) Admit(r *http.Request) (Caller, error) {
	rules := k.rules.Load()
	header := r.Header["Authorization"]
	if len(header) == 0 {
		if given := queryToken(r); given != "" {
			return k.token(rules, r, given)
		}
		return Caller{}, rules.missing()
	}
	scheme, rest, _ := strings.Cut(header[0], " ")
	switch {
	case len(header) == 1 && strings.EqualFold(scheme, "Bearer"):
		return k.token(rules, r, strings.TrimSpace(rest))
	case len(header) == 1 && strings.EqualFold(scheme, "Basic"):
		return k.basic(rules, r)
	}
	return Caller{}, k.unknown(rules, r, reasonUnknown, wrongCredentials)
}

// basic takes a user, or a token as the password of the name that it is bound to, for clients that know nothing else.
func (k *Keeper) basic(rules *Rules, r *http.Request) (Caller, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return Caller{}, k.unknown(rules, r, reasonUnknown, wrongCredentials)
	}
	if e := rules.find(password); e != nil && e.who.Name == name {
		return k.admit(rules, r, e)
	}
	who, err := k.user(rules, r, name, password)
	if err != nil {
		return who, err
	}
	k.mu.Lock()
	l := k.limits[name]
	k.mu.Unlock()
	return who, k.paced(l, who.Name)
}

func (k *Keeper) token(rules *Rules, r *http.Request, given string) (Caller, error) {
	if e := rules.find(given); e != nil {
		return k.admit(rules, r, e)
	}
	return Caller{}, k.unknown(rules, r, reasonUnknown, wrongCredentials)
}

// tokenMost bounds what is hashed, in bytes.
const tokenMost = 512

// find is the token that was given; nil where there is none. Its hash is what is looked up and compared, so that the time
// tells nothing of any token.
func (r *Rules) find(given string) *entry {
	if given == "" || len(given) > tokenMost {
		return nil
	}
	var buf [tokenMost]byte
	h := hash(sha256.Sum256(buf[:copy(buf[:], given)]))
	e := r.tokens[h]
	if e == nil || subtle.ConstantTimeCompare(e.hash[:], h[:]) != 1 {
		return nil
	}
	return e
}

func (k *Keeper) admit(rules *Rules, r *http.Request, e *entry) (Caller, error) {
	if !e.notAfter.IsZero() && !k.o.Now().Before(e.notAfter) {
		return Caller{}, k.unknown(rules, r, reasonExpired, "the token of "+e.who.Name+" has expired: signalbox token new makes another")
	}
	if err := k.paced(e.limit, e.who.Name); err != nil {
		return Caller{}, err
	}
	return e.who, nil
}

// paced refuses a name that calls more often than it may.
func (k *Keeper) paced(l *limit, name string) error {
	if l == nil || l.AllowN(k.o.Now(), 1) {
		return nil
	}
	after := time.Duration(math.Ceil(float64(time.Second) / l.rate))
	return &refusal{reason: reasonRate, text: fmt.Sprintf("want at most %g calls a second of %s, and %d at once", l.rate, name, l.burst), after: after}
}

// queryToken is the token in the query, which only webhooks of providers may use: not all of them can send headers.
func queryToken(r *http.Request) string {
	if !strings.Contains(r.URL.RawQuery, "token=") || !strings.HasPrefix(r.URL.Path, "/receipts/") && !strings.HasPrefix(r.URL.Path, "/inbound/") {
		return ""
	}
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return ""
	}
	return v.Get("token")
}
