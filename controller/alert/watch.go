package alert

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How often is looked, how long after a decision its round has surely ended, for how long something that is over is told
// to be, how long after a start all senders have said what they run, and how many letters are kept in memory while the
// outbox takes none.
const (
	lookEvery    = 5 * time.Second
	roundEnds    = 250 * time.Millisecond
	resolvedFor  = 5 * time.Minute
	sendersKnown = 2 * time.Minute
	looseMost    = 200
)

// watch knows what holds. What began or ended without a decision that tells of it becomes a letter, and what stands is
// noted in the outbox in the same step, so that a restart neither repeats nor forgets it.
type watch struct {
	*Alerts
	started time.Time
	wake    chan bool // of one element

	mu       sync.Mutex // guards what follows
	standing map[string]Condition
	over     map[string]ended // lately
	loose    []loose          // that no outbox could take yet, oldest first
	made     int              // how many loose letters there ever were
	notes    map[string]Note  // that no outbox could take yet, by key
}

// ended is a condition that holds no more.
type ended struct {
	Condition
	at time.Time
}

// loose is a letter that is only in memory.
type loose struct {
	number int
	to     string
	event  Event
}

func newWatch(a *Alerts) *watch {
	return &watch{Alerts: a, started: time.Now().UTC(), wake: make(chan bool, 1), standing: map[string]Condition{}, over: map[string]ended{}, notes: map[string]Note{}}
}

// rest waits; it is false where ctx is done before.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// restore takes up what stood when the last run ended.
func (w *watch) restore() error {
	notes, err := w.o.Outbox.Notes()
	if err != nil {
		return err
	}
	for _, n := range notes {
		var c Condition
		if err := json.Unmarshal(n.Data, &c); err != nil || c.About.key() != n.Key {
			w.o.Logger.Warn("what held was not understood", "reason", "it is told anew if it holds still", "err", err)
			w.notes[n.Key] = Note{Key: n.Key}
			continue
		}
		w.standing[c.About.key()] = c
	}
	return nil
}

func (w *watch) nudge() {
	select {
	case w.wake <- true:
	default: // it will look anyway
	}
}

// run looks until ctx is done.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if w.look(time.Now().Round(0).UTC()) {
			for _, c := range w.team.Load().couriers {
				c.nudge()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.wake:
			if !rest(ctx, roundEnds) {
				return
			}
		}
	}
}

// look finds what began and what ended since the last look, and reports whether anything did.
func (w *watch) look(now time.Time) (changed bool) {
	scene := w.o.Look()
	var lagging []Sender
	if w.o.Senders != nil {
		lagging = w.o.Senders.Lagging(now)
	}
	current := conditions(&scene, lagging, now)
	events, changed := w.compare(&scene, current, now)
	w.announce(events)
	return changed
}

// compare takes over what holds now, and returns what is to be told of it.
func (w *watch) compare(scene *Scene, current []Condition, now time.Time) (events []Event, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	holds := map[string]bool{}
	for _, c := range current {
		key := c.About.key()
		holds[key] = true
		was, stood := w.standing[key]
		if !stood {
			events = appendTold(events, scene, c, natures[c.About.Kind].begins, began(&c, now), now)
			delete(w.over, key)
			w.note(key, &c)
		}
		changed = changed || !stood || was.Quiet != c.Quiet
		w.standing[key] = c
	}
	for _, key := range sortedKeys(w.standing) {
		if c := w.standing[key]; !holds[key] && !w.early(&c, now) {
			events = appendTold(events, scene, c, natures[c.About.Kind].ends, now, now)
			w.over[key], changed = ended{c, now}, true
			w.note(key, nil)
			delete(w.standing, key)
		}
	}
	for key, c := range w.over {
		if now.Sub(c.at) > resolvedFor {
			delete(w.over, key)
		}
	}
	return events, changed
}

// began is the moment by which a begin is known from others. A sender may lag again while it says the same as ever.
func began(c *Condition, now time.Time) time.Time {
	if c.About.Kind == KindSenderLagging {
		return now
	}
	return c.Since
}

// early reports whether it cannot be known yet that a condition is over: after a start no sender has said yet what it runs.
func (w *watch) early(c *Condition, now time.Time) bool {
	return c.About.Kind == KindSenderLagging && now.Sub(w.started) < sendersKnown
}

// note remembers what is to be noted; a nil condition is over. The lock is held.
func (w *watch) note(key string, c *Condition) {
	n := Note{Key: key}
	if c != nil {
		n.Data = encoded(c)
	}
	w.notes[key] = n
}

// appendTold adds the event of a begin or an end, unless a decision tells of it.
func appendTold(events []Event, scene *Scene, c Condition, t Type, moment, now time.Time) []Event {
	if t == "" {
		return events
	}
	e := Event{ID: watchedID(t, c.About, moment), Type: t, Time: now, Generation: scene.World.Generation, About: c.About, Over: ends[t],
		Since: c.Since, Summary: c.Summary, Text: c.Text}
	if e.Over {
		e.Summary = "over: " + c.Summary
	}
	return append(events, e)
}

// watchedID is the same for the same begin or end, whoever sees it.
func watchedID(t Type, a About, moment time.Time) string {
	h := fnv.New64a()
	h.Write([]byte(a.key())) // a hash takes everything
	return strings.ReplaceAll(string(t), ".", "-") + "-" + strconv.FormatUint(h.Sum64(), 36) + "-" + strconv.FormatInt(moment.Unix(), 10)
}

// announce hands letters and notes to the outbox. Where it takes none they stay loose: delivered from memory, and handed
// over with the next ones.
func (w *watch) announce(events []Event) {
	t := w.team.Load()
	w.mu.Lock()
	for i := range events {
		for _, h := range t.workers {
			if h.wantsEvent(events[i].Type) {
				w.made++
				w.loose = append(w.loose, loose{w.made, h.name, events[i]})
			}
		}
	}
	letters, notes := make([]Letter, len(w.loose)), make([]Note, 0, len(w.notes))
	for i := range w.loose {
		letters[i] = Letter{To: w.loose[i].to, At: w.loose[i].event.Time, Body: w.loose[i].event.letter()}
	}
	for _, key := range sortedKeys(w.notes) {
		notes = append(notes, w.notes[key])
	}
	w.mu.Unlock()
	if len(letters) == 0 && len(notes) == 0 {
		return
	}
	w.settle(t, w.o.Outbox.Announce(letters, notes))
	for _, h := range t.workers {
		h.nudge()
	}
}

// settle forgets what the outbox has taken, and bounds what it has not. Only look adds to either, so nothing is new.
func (w *watch) settle(t *team, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.loose, w.notes = nil, map[string]Note{}
		return
	}
	t.trouble("alerts not put into the outbox", "", err)
	if n := len(w.loose) - looseMost; n > 0 {
		for _, l := range w.loose[:n] {
			t.gaveUp(l.to, resultDropped, 1)
		}
		w.loose = slices.Clone(w.loose[n:])
	}
}

// looseAfter is the first loose letter to a webhook after number n.
func (w *watch) looseAfter(to string, n int) (Event, int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.loose {
		if l.to == to && l.number > n {
			return l.event, l.number, true
		}
	}
	return Event{}, n, false
}

// now is what holds, without what is quiet, and what lately held, each by identity.
func (w *watch) now() (firing []Condition, resolved []ended) {
	w.mu.Lock()
	defer w.mu.Unlock()
	firing = append(firing, Condition{About: About{Kind: KindWatchdog}, Since: w.started, Summary: "signalbox watches; where this alert ceases, nobody does"})
	for _, key := range sortedKeys(w.standing) {
		if c := w.standing[key]; !c.Quiet {
			firing = append(firing, c)
		}
	}
	for _, key := range sortedKeys(w.over) {
		if c := w.over[key]; !c.Quiet {
			resolved = append(resolved, c)
		}
	}
	return firing, resolved
}
