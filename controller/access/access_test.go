package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

var ten = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// clock is the time of a test.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keeper has the tokens "secret-NAME" of some roles, and the user ann.
func keeper(t testing.TB) (*Keeper, *clock, Options) {
	t.Helper()
	dir, c := t.TempDir(), &clock{at: ten}
	hashed, err := bcrypt.GenerateFromPassword([]byte("anns password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Now: c.now, WebConfig: write(t, dir, "web.yml", "basic_auth_users: {ann: '"+string(hashed)+"'}"), Tokens: write(t, dir, "tokens.yml", `tokens:
  - {name: gw-1, role: sender, sha256: `+hashOf("secret-gw-1")+`, rate: 2/s, burst: 3}
  - {name: gw-1, role: sender, sha256: `+hashOf("secret-gw-1-next")+`, rate: 2/s, burst: 3}
  - {name: prometheus, role: viewer, sha256: `+hashOf("secret-prometheus")+`, not_after: 2026-11-23}
users: {ann: operator}
`)}
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return k, c, o
}

func bearing(token string) *http.Request {
	r := httptest.NewRequest("GET", "/routes", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func user(name, password string) *http.Request {
	r := httptest.NewRequest("GET", "/routes", nil)
	r.SetBasicAuth(name, password)
	return r
}

// reason is why a request is refused; "" where it is not.
func reason(t *testing.T, k *Keeper, r *http.Request) string {
	t.Helper()
	_, err := k.Admit(r)
	if err == nil {
		return ""
	}
	var refused *refusal
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return refused.Reason()
}

func TestAdmit(t *testing.T) {
	with := func(header ...string) *http.Request {
		r := httptest.NewRequest("GET", "/routes", nil)
		r.Header["Authorization"] = header
		return r
	}
	for name, tc := range map[string]struct {
		request *http.Request
		want    Caller
		reason  string
	}{
		"a token":                            {bearing("secret-gw-1"), Caller{"gw-1", "sender"}, ""},
		"the other one of the name":          {bearing("secret-gw-1-next"), Caller{"gw-1", "sender"}, ""},
		"the scheme in small letters":        {with("bearer secret-gw-1"), Caller{"gw-1", "sender"}, ""},
		"a token as the password":            {user("gw-1", "secret-gw-1"), Caller{"gw-1", "sender"}, ""},
		"a user":                             {user("ann", "anns password"), Caller{"ann", "operator"}, ""},
		"on its last day":                    {bearing("secret-prometheus"), Caller{"prometheus", "viewer"}, ""},
		"nothing":                            {httptest.NewRequest("GET", "/routes", nil), Caller{}, reasonMissing},
		"a wrong token":                      {bearing("secret-gw-2"), Caller{}, reasonUnknown},
		"no token":                           {bearing(""), Caller{}, reasonUnknown},
		"a huge token":                       {bearing(strings.Repeat("a", 10_000)), Caller{}, reasonUnknown},
		"the hash of a token":                {bearing(hashOf("secret-gw-1")), Caller{}, reasonUnknown},
		"another's token as the password":    {user("ann", "secret-gw-1"), Caller{}, reasonUnknown},
		"a wrong password":                   {user("ann", "bobs password"), Caller{}, reasonUnknown},
		"a user that does not exist":         {user("bob", "anns password"), Caller{}, reasonUnknown},
		"a password longer than bcrypt sees": {user("ann", "anns password"+strings.Repeat("\x00", 80)), Caller{}, reasonUnknown},
		"another scheme":                     {with("Digest x"), Caller{}, reasonUnknown},
		"two headers":                        {with("Bearer secret-gw-1", "Bearer secret-gw-1"), Caller{}, reasonUnknown},
		"basic that cannot be read":          {with("Basic ?"), Caller{}, reasonUnknown},
		"the query of a path without":        {httptest.NewRequest("GET", "/routes?token=secret-gw-1", nil), Caller{}, reasonMissing},
		"the query of a webhook":             {httptest.NewRequest("GET", "/receipts/kannel?a=b&token=secret-gw-1", nil), Caller{"gw-1", "sender"}, ""},
	} {
		k, _, _ := keeper(t)
		got, err := k.Admit(tc.request)
		if why := reason(t, k, tc.request); got != tc.want || why != tc.reason {
			t.Errorf("%s: got %+v and %v, want %+v and %q", name, got, err, tc.want, tc.reason)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats what was shown: %v", name, err)
		}
	}
}

func TestATokenEnds(t *testing.T) {
	k, c, _ := keeper(t)
	if got := k.nextExpiry(); got != float64(ten.Add(14*time.Hour).Unix()) {
		t.Errorf("got the next end at %v, want the end of the day", got)
	}
	c.pass(14 * time.Hour)
	if got := reason(t, k, bearing("secret-prometheus")); got != reasonExpired || k.nextExpiry() != 0 {
		t.Errorf("got %q, want %q", got, reasonExpired)
	}
}

func TestANameMayCallSoOften(t *testing.T) {
	k, c, _ := keeper(t)
	for range 3 {
		if got := reason(t, k, bearing("secret-gw-1")); got != "" {
			t.Fatalf("got %q within the burst", got)
		}
	}
	_, err := k.Admit(bearing("secret-gw-1-next")) // its other token does not help
	var refused *refusal
	if !errors.As(err, &refused) || refused.reason != reasonRate || refused.After() != 500*time.Millisecond {
		t.Errorf("got %+v, want it refused for half a second", err)
	}
	next, err := k.Read() // nor does a reload
	if err != nil {
		t.Fatal(err)
	}
	k.Use(next)
	if got := reason(t, k, bearing("secret-gw-1")); got != reasonRate {
		t.Errorf("after a reload: got %q, want %q", got, reasonRate)
	}
	if got := reason(t, k, bearing("secret-prometheus")); got != "" {
		t.Errorf("another name: got %q", got)
	}
	c.pass(time.Second)
	if got := reason(t, k, bearing("secret-gw-1")); got != "" {
		t.Errorf("a second later: got %q", got)
	}
}

// An address that guesses is not looked at any more, and others, and whoever shows a good token from there, come in.
func TestGuessingIsBounded(t *testing.T) {
	k, c, _ := keeper(t)
	counts := map[string]int{}
	for i := range 1000 {
		counts[reason(t, k, bearing(fmt.Sprint("guess ", i)))]++
	}
	if counts[reasonUnknown] != failureBurst || counts[reasonFailed] != 1000-failureBurst {
		t.Errorf("got %v, want %d looked at", counts, failureBurst)
	}
	if got := reason(t, k, user("ann", "a guess")); got != reasonFailed {
		t.Errorf("a password from there: got %q, want %q", got, reasonFailed)
	}
	if got := reason(t, k, bearing("secret-gw-1")); got != "" {
		t.Errorf("a good token from there: got %q", got)
	}
	elsewhere := user("ann", "anns password")
	elsewhere.RemoteAddr = "198.51.100.7:1234"
	if got := reason(t, k, elsewhere); got != "" {
		t.Errorf("from elsewhere: got %q", got)
	}
	if got := reason(t, k, user("ann", "anns password")); got != "" {
		t.Errorf("a password that was checked before: got %q", got)
	}
	c.pass(time.Minute)
	if got := reason(t, k, user("ann", "a guess")); got != reasonUnknown {
		t.Errorf("a minute later: got %q, want %q", got, reasonUnknown)
	}
}

// A flood of passwords from everywhere is checked one at a time, and only a few wait.
func TestPasswordsAreCheckedOneAtATime(t *testing.T) {
	k, _, _ := keeper(t)
	if !k.passwords.begin(t.Context()) {
		t.Fatal("got no turn")
	}
	var wg sync.WaitGroup
	reasons := make(chan string, 100)
	for i := range 100 {
		wg.Go(func() {
			r := user("ann", "a guess")
			r.RemoteAddr = fmt.Sprintf("198.51.%d.1:1", i)
			reasons <- reason(t, k, r)
		})
	}
	for range 100 - checksWaiting { // those that find no place in the queue
		if got := <-reasons; got != reasonBusy {
			t.Errorf("got %q, want %q", got, reasonBusy)
		}
	}
	k.passwords.end()
	wg.Wait()
	close(reasons)
	for got := range reasons {
		if got != reasonUnknown && got != reasonBusy { // busy: a machine so slow that the wait was over
			t.Errorf("got %q of one that waited, want %q", got, reasonUnknown)
		}
	}
}

func TestWhatIsRememberedOfPasswordsIsBoundedAndForgotten(t *testing.T) {
	k, _, _ := keeper(t)
	for i := range 3 {
		_ = reason(t, k, user(fmt.Sprint("nobody-", i), "x"))
		_ = reason(t, k, user("ann", "anns password"))
	}
	if len(k.passwords.good) != 1 {
		t.Errorf("remembers %d passwords, want that of the user", len(k.passwords.good))
	}
	k.Use(k.Rules())
	if len(k.passwords.good) != 0 {
		t.Error("remembers a password after a reload")
	}
}

func TestAddressesAreBounded(t *testing.T) {
	f := newFailures()
	for i := range failuresKnown + 5000 {
		r := &http.Request{RemoteAddr: fmt.Sprintf("[2001:db8:%x:%x::1]:443", i>>16, i&0xffff)}
		f.note(addressOf(r), ten)
	}
	if len(f.by) != failuresKnown {
		t.Errorf("remembers %d addresses, want %d", len(f.by), failuresKnown)
	}
	guesser := addressOf(&http.Request{RemoteAddr: "192.0.2.1:1"})
	for range 1000 {
		f.note(guesser, ten)
	}
	if len(f.by) != failuresKnown || !f.full(guesser, ten) || f.full(guesser, ten.Add(time.Minute)) {
		t.Errorf("remembers %d addresses, want one that guesses among them, for a while", len(f.by))
	}
}

func TestAddressOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:80":              "192.0.2.1",
		"[::ffff:192.0.2.1]:80":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::",
		"[fe80::1:2:3:4%eth0]:80":   "fe80::",
		"[::1]:80":                  "::1",
		"@":                         "invalid IP",
	} {
		if got := addressOf(&http.Request{RemoteAddr: in}).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func BenchmarkAdmitToken(b *testing.B) {
	k, c, _ := keeper(b)
	b.ReportAllocs()
	r := bearing("secret-gw-1")
	for b.Loop() {
		c.pass(time.Second) // the token may be used again
		if _, err := k.Admit(r); err != nil {
			b.Fatal(err)
		}
	}
}
