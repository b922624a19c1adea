package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Checks of passwords are work on purpose: one is done at a time, a few may wait for it, and only for so long.
const (
	checksWaiting = 8
	checkWithin   = 2 * time.Second
	passwordMost  = 72 // bytes; bcrypt does not look at more
)

// passwords checks passwords, and remembers the good one of each user so that it is checked once.
type passwords struct {
	key     [32]byte      // of the process: what is remembered is of no use elsewhere
	waiting chan struct{} // a place in the queue
	turn    chan struct{}

	mu   sync.Mutex                   // guards good
	good map[string][sha256.Size]byte // by user; as many as there are users at most
}

func newPasswords() *passwords {
	p := &passwords{waiting: make(chan struct{}, checksWaiting), turn: make(chan struct{}, 1), good: map[string][sha256.Size]byte{}}
	_, _ = rand.Read(p.key[:]) // it never fails
	return p
}

// digest is of a password together with the hash that it is good for.
func (p *passwords) digest(hashed, password string) (d [sha256.Size]byte) {
	m := hmac.New(sha256.New, p.key[:])
	_, _ = m.Write([]byte(hashed + "\x00" + password)) // a hash takes everything
	m.Sum(d[:0])
	return d
}

func (p *passwords) known(user string, d [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	good, ok := p.good[user]
	return ok && hmac.Equal(good[:], d[:])
}

func (p *passwords) learn(user string, d [sha256.Size]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good[user] = d
}

func (p *passwords) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.good)
}

// begin waits for a turn; false where too many wait, or it takes too long. Who has one must call end.
func (p *passwords) begin(ctx context.Context) bool {
	select {
	case p.waiting <- struct{}{}:
	default:
		return false
	}
	defer func() { <-p.waiting }()
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *passwords) end() { <-p.turn }

// user says whether a name and a password are those of a user.
func (k *Keeper) user(rules *Rules, r *http.Request, name, password string) (Caller, error) {
	hashed, exists := rules.web.users[name]
	if !exists {
		hashed = rules.web.decoy
	}
	d := k.passwords.digest(hashed, password)
	who := Caller{Name: name, Role: rules.users[name]}
	switch {
	case exists && k.passwords.known(name, d):
		return who, nil
	case len(password) > passwordMost || len(rules.web.users) == 0:
		return Caller{}, k.unknown(rules, r, reasonUnknown, wrongCredentials)
	case k.failures.full(addressOf(r), k.o.Now()):
		return Caller{}, k.blocked(r)
	case !k.passwords.begin(r.Context()):
		return Caller{}, &refusal{reason: reasonBusy, text: "too many passwords to check now", after: checkWithin}
	}
	defer k.passwords.end()
	if k.failures.full(addressOf(r), k.o.Now()) { // others may have failed meanwhile
		return Caller{}, k.blocked(r)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hashed), []byte(password)); err != nil || !exists {
		return Caller{}, k.unknown(rules, r, reasonUnknown, wrongCredentials)
	}
	k.passwords.learn(name, d)
	return who, nil
}
