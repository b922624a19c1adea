// Package story reads and plays stories: what is observed of routes when, and what must be decided and why. A story is
// played in its own time by the same engine as the daemon runs, over a simulated world of senders and carriers.
package story

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

// Bounds of stories.
const (
	longest     = 31 * 24 * time.Hour // of one test
	maxTests    = 1_000               // of one file
	maxLines    = 10_000              // of one test
	maxMessages = 5_000_000           // sent in one test
)

// File is one file of stories about one policy.
type File struct {
	Name     string
	Policy   []string      // the policy's folders and files, seen from the folder of the story; default "."
	Start    time.Time     // the moment 0s of every test, in UTC; default Monday 2026-01-05 12:00
	Interval time.Duration // from one value of a series to the next; default 5s
	Tests    []Test

	doc   *policy.Document
	where policy.Value // the key policy
}

// Test is one story.
type Test struct {
	Name  string
	Line  int           // where it begins in its file
	Mode  route.Mode    // the most that may be done with any verdict; route.Act where it is empty
	Seed  uint64        // of all that is left to chance; 0, the default, leaves nothing to it
	Cold  bool          // nothing is known of what is normal
	Lasts time.Duration // how long it is played

	value   policy.Value
	lines   []line // by time, else in their order
	series  []series
	expects []*expectation
}

// Parse reads a file of stories as far as that can be done without its policy. Its error is a policy.Problems with
// everything that is wrong, by place; the File is there even so, to be bound to its policy for more of them.
func Parse(f policy.File) (*File, error) {
	d := policy.OpenDocument(f, fileShape)
	s := &File{Name: f.Name, doc: d}
	s.read(d.Top())
	return s, s.problems()
}

// NoPolicy says that the policy of the stories cannot be read. Its error is that of Bind.
func (f *File) NoPolicy(err error) error {
	f.where.Say("want a policy, got none that can be read (%s)", err)
	return f.problems()
}

func (f *File) problems() error {
	if p := f.doc.Problems(); len(p) > 0 {
		return p
	}
	return nil
}

// Bind finds out what the names of the stories mean in a policy. Its error is a policy.Problems with everything that is
// wrong, what Parse said included.
func (f *File) Bind(p *policy.Policy) error {
	for i := range f.Tests {
		t := &f.Tests[i]
		for k := range t.lines {
			t.lines[k].bind(p)
		}
		t.checkSources()
		for k := range t.series {
			t.series[k].bind(p)
		}
		for _, e := range t.expects {
			e.bind(p)
		}
		t.bound()
	}
	return f.problems()
}

// checkSources refuses lines about sources that send nothing.
func (t *Test) checkSources() {
	names := []string{scenario.DefaultSource}
	for i := range t.lines {
		if x, ok := t.lines[i].does.(*traffic); ok && x.sends && !slices.Contains(names, x.from) {
			names = append(names, x.from)
		}
	}
	for i := range t.lines {
		l := &t.lines[i]
		if s, ok := l.does.(*source); ok && !slices.Contains(names, s.name) {
			l.value.SayAt(l.names[0].at, "want a source that sends (%s), got %s%s", list(names), quote(s.name), l.value.Meant(s.name, names))
		}
	}
}

// bound refuses a test that sends more than can be played in reasonable time.
func (t *Test) bound() {
	if n := t.messages(); n > maxMessages {
		t.value.Say("want at most %d messages in a test, got about %.0f in %s", maxMessages, n, route.Duration(t.Lasts))
	}
}

// messages is about how many messages a test sends.
func (t *Test) messages() float64 {
	sum, all, last := 0.0, 0.0, time.Duration(0)
	rates := map[string]float64{} // messages a second of each stream; all is their sum
	for i := range t.lines {
		l := &t.lines[i]
		x, ok := l.does.(*traffic)
		if !ok || !x.sends {
			continue
		}
		sum += all * (l.at - last).Seconds()
		last = l.at
		rate, stream := x.rate, fmt.Sprint(l.where, x.from)
		if x.burst.Messages > 0 {
			rate += float64(x.burst.Messages) / x.burst.Every.Seconds()
		}
		all += rate - rates[stream]
		rates[stream] = rate
	}
	return sum + all*(t.Lasts-last).Seconds()
}

// lasts is how long a test has to be played until everything in it has happened.
func (t *Test) lasts(interval time.Duration) time.Duration {
	var end time.Duration
	for i := range t.lines {
		end = max(end, t.lines[i].at)
	}
	for _, e := range t.expects {
		end = max(end, e.end())
	}
	for i := range t.series {
		end = max(end, time.Duration(len(t.series[i].values)-1)*interval)
	}
	return (end + signal.Tick - 1).Truncate(signal.Tick)
}

func (t *Test) inOrder() {
	slices.SortStableFunc(t.lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
}
