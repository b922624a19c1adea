package kannel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of an Actuator. Config, Admin and Password are required.
type Options struct {
	Config   string                 // Kannel's configuration file, which is rewritten
	Admin    string                 // the URL of bearerbox's administration, such as http://127.0.0.1:13000
	Password func() (string, error) // the admin-password, read anew for each use
	Links    map[string]string      // the smsc-id of a route, where that is another than the route's id
	Settle   time.Duration          // how long is looked whether the messages follow; default 5 s
	Logger   *slog.Logger           // default slog.Default()
}

// Lane says which routes the messages of a label go by.
type Lane struct {
	Label  string
	Routes []Route // as the table orders them
}

// Route is a route of a lane as the table has it.
type Route struct {
	ID    string
	Share int  // ten-thousandths
	Out   bool // demoted, drained or not registered: it takes none of the lane's messages
}

// Applied is what was done to put a table into force.
type Applied struct {
	Files    []string          // that were rewritten; none where the configuration says the same already
	Primary  map[string]string // by label: the link that is preferred
	InForce  bool              // bearerbox goes by what the configuration says now
	Warnings []string
}

// Actuator puts tables into force in one Kannel. It does one thing at a time.
type Actuator struct {
	o     Options
	base  *url.URL
	log   *slog.Logger
	http  *http.Client
	doing sync.Mutex // held by whatever changes Kannel; guards fresh
	fresh bool       // whether bearerbox has read what is on disk
}

// New returns an actuator. It changes nothing before Apply.
func New(o Options) (*Actuator, error) {
	base, err := url.Parse(o.Admin)
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("new kannel actuator: admin: want a URL such as http://127.0.0.1:13000, got %q", o.Admin)
	case o.Config == "" || o.Password == nil:
		return nil, errors.New("new kannel actuator: want a configuration file and a password")
	}
	if o.Settle <= 0 {
		o.Settle = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Actuator{o: o, base: base, log: o.Logger, http: &http.Client{Transport: &http.Transport{MaxIdleConns: 2}}}, nil
}

func (a *Actuator) admin() (*admin, error) {
	password, err := a.o.Password()
	if err != nil {
		return nil, fmt.Errorf("admin password: %w", err)
	}
	return &admin{a.base, password, a.http}, nil
}

// link is the smsc-id of a route.
func (a *Actuator) link(route string) string {
	if id := a.o.Links[route]; id != "" {
		return id
	}
	return route
}

// edit writes lanes into a configuration that was read: the routes that are not out take the messages of the label, and
// the one with the greatest share is preferred. A lane whose routes are all out stays as it is, and so does one with a route
// that cannot be written, which is the error; the others are written all the same.
func (a *Actuator) edit(c *conf, lanes []Lane, done *Applied) error {
	var problems []error
	for _, l := range lanes {
		primary, ok := primaryOf(l.Routes)
		if !ok {
			done.Warnings = append(done.Warnings, "every route of "+l.Label+" is out: its links stay as they are")
			continue
		}
		if err := a.writable(c, &l); err != nil {
			problems = append(problems, err)
			continue
		}
		done.Primary[l.Label] = a.link(primary)
		for _, r := range l.Routes {
			c.use(a.link(r.ID), l.Label, !r.Out, r.ID == primary)
		}
	}
	return errors.Join(problems...)
}

// writable says which routes of a lane cannot be written into a configuration, and why.
func (a *Actuator) writable(c *conf, l *Lane) error {
	var problems []error
	for _, r := range l.Routes {
		if err := c.usable(a.link(r.ID), l.Label); err != nil {
			problems = append(problems, fmt.Errorf("route %s: %w", r.ID, err))
		}
	}
	return errors.Join(problems...)
}

// primaryOf is the route with the greatest share of those that are not out; the first of several.
func primaryOf(routes []Route) (id string, ok bool) {
	most := -1
	for _, r := range routes {
		if !r.Out && r.Share > most {
			id, most = r.ID, r.Share
		}
	}
	return id, most >= 0
}

// Plan is what Apply would do; it changes nothing.
func (a *Actuator) Plan(lanes []Lane) (Applied, error) {
	done := Applied{Primary: map[string]string{}}
	c, err := readConf(a.o.Config)
	if err == nil {
		err = a.edit(c, lanes, &done)
		done.Files = c.changed()
	}
	return done, err
}

// Apply puts lanes into force: it writes the configuration where that says something else, has bearerbox read it again,
// and looks that the links are still bound and that the messages follow. A lane that cannot be written stays as it is and
// is an error, but does not keep the others. After an error it is to be tried again: what is on disk may not be in force
// yet.
func (a *Actuator) Apply(ctx context.Context, lanes []Lane) (Applied, error) {
	a.doing.Lock()
	defer a.doing.Unlock()
	done := Applied{Primary: map[string]string{}}
	c, err := readConf(a.o.Config)
	if err != nil {
		return done, err
	}
	left := a.edit(c, lanes, &done)
	if left != nil && len(done.Primary) == 0 {
		return done, left
	}
	if done.Files = c.changed(); len(done.Files) > 0 || !a.fresh {
		err = a.enforce(ctx, c, lanes, &done)
	}
	done.InForce = err == nil
	return done, errors.Join(left, err)
}

// enforce writes a configuration that was edited and has bearerbox go by it.
func (a *Actuator) enforce(ctx context.Context, c *conf, lanes []Lane, done *Applied) error {
	ask, err := a.admin()
	if err != nil {
		return err
	}
	before, err := ask.links(ctx) // whether it answers is known before anything is written
	if err != nil {
		return err
	}
	a.fresh = false
	if err := c.write(); err != nil {
		return err
	}
	if err := ask.restart(ctx); err != nil {
		return err
	}
	if err := a.confirm(ctx, ask, before, c.idle(lanes), done); err != nil {
		return err
	}
	a.fresh = true
	return nil
}

// idle are the links that take the messages of no label of the lanes, and of no label but their own id.
func (c *conf) idle(lanes []Lane) (ids []string) {
	for _, id := range c.ids() {
		list, _ := c.linksOf(id)[0].value(allowed)
		if all := labels(list); len(all) > 0 && !slices.ContainsFunc(all, func(l string) bool { return l != id }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// confirm looks for a while what bearerbox does with what it has read: a link that is gone, or that sends although it takes
// no messages, is an error; one that was bound anew is a warning.
func (a *Actuator) confirm(ctx context.Context, ask *admin, before []Link, idle []string, done *Applied) error {
	var first, last []Link
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for until := time.Now().Add(a.o.Settle); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now, err := ask.links(ctx)
		if err != nil {
			return err
		}
		if gone := missing(before, now); gone != "" {
			return fmt.Errorf("link %s is gone since bearerbox read %s again", gone, a.o.Config)
		}
		if drained(now, idle) && first == nil {
			first = now // what was queued before has left
		}
		if last = now; time.Now().After(until) {
			break
		}
	}
	done.Warnings = append(done.Warnings, rebound(before, last)...)
	if first == nil {
		done.Warnings = append(done.Warnings, "messages still wait in links that take no more: "+strings.Join(idle, ", "))
		return nil
	}
	return a.followed(first, last, idle)
}

// followed says what was sent by which link since, and is an error where one sent that takes no messages.
func (a *Actuator) followed(first, last []Link, idle []string) error {
	by := []any{}
	for _, l := range last {
		sent := l.Sent - min(l.Sent, sentBy(first, l.ID))
		by = append(by, l.ID, sent)
		if sent > 0 && slices.Contains(idle, l.ID) {
			return fmt.Errorf("link %s sent %d messages although it takes none: is another label allowed on it, or a sender without smsc=?", l.ID, sent)
		}
	}
	a.log.Info("messages follow", by...)
	return nil
}

func sentBy(links []Link, id string) (n uint64) {
	for _, l := range links {
		if l.ID == id {
			n += l.Sent
		}
	}
	return n
}

func missing(before, now []Link) string {
	for _, b := range before {
		if !slices.ContainsFunc(now, func(l Link) bool { return l.ID == b.ID }) {
			return b.ID
		}
	}
	return ""
}

// drained reports whether nothing waits in links any more.
func drained(now []Link, ids []string) bool {
	return !slices.ContainsFunc(now, func(l Link) bool { return slices.Contains(ids, l.ID) && l.Queued > 0 })
}

// rebound are the links that were online and have been bound anew.
func rebound(before, now []Link) (words []string) {
	for i := range before {
		b := &before[i]
		for k := range now {
			if n := &now[k]; n.ID == b.ID && n.Admin == b.Admin && b.Online() && (!n.Online() || n.Up < b.Up) {
				words = append(words, "link "+b.ID+" was bound anew, or is "+n.Status+": receipts on their way may be lost")
			}
		}
	}
	return words
}

// Warning is what Isolate costs. Whoever asks for it has to be told.
const Warning = "stop-smsc unbinds the link at once: receipts that are still to come over it are lost, and messages that the carrier has not acknowledged are sent again by another link, so that some arrive twice"

// Isolate unbinds the links of a route at once, for an emergency. Rejoin binds them again.
func (a *Actuator) Isolate(ctx context.Context, route string) error {
	return a.each(ctx, route, func(ask *admin, id string) error { return ask.stop(ctx, id) })
}

// Rejoin binds the links of a route again that Isolate unbound.
func (a *Actuator) Rejoin(ctx context.Context, route string) error {
	return a.each(ctx, route, func(ask *admin, id string) error { return ask.start(ctx, id) })
}

// each does something to every link of a route, by its smsc-admin-id.
func (a *Actuator) each(ctx context.Context, route string, do func(*admin, string) error) error {
	a.doing.Lock()
	defer a.doing.Unlock()
	ask, err := a.admin()
	if err != nil {
		return err
	}
	links, err := ask.links(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, l := range links {
		if l.ID == a.link(route) {
			found = true
			if err := do(ask, l.Admin); err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("want a link with smsc-id %q, got none of %s", a.link(route), strings.Join(idsOf(links), ", "))
	}
	return nil
}

func idsOf(links []Link) (ids []string) {
	for _, l := range links {
		ids = append(ids, l.ID)
	}
	return ids
}

// PasswordFile reads a password from a file, without the line end.
func PasswordFile(path string) func() (string, error) {
	return func() (string, error) {
		data, err := os.ReadFile(path)
		return strings.TrimRight(string(data), "\r\n"), err
	}
}
