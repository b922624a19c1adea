package story

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// word is one word of a line and where it begins, in characters.
type word struct {
	text string
	at   int
}

// words is a reader of one line. Once something does not fit, it says so, once, and has no more words.
type words struct {
	value policy.Value // where the line stands
	rest  []word
	end   int // where the line ends, in characters
	bad   bool
}

func readWords(v policy.Value, text string) *words {
	w := &words{value: v, end: utf8.RuneCountInString(strings.TrimRight(text, " \t\n"))}
	at := 0
	for _, field := range strings.FieldsFunc(text, isSpace) {
		i := strings.Index(text[at:], field)
		w.rest = append(w.rest, word{field, policy.Offset(text, at+i)})
		at += i + len(field)
	}
	return w
}

func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// peek is the next word, "" at the end.
func (w *words) peek() string {
	if w.bad || len(w.rest) == 0 {
		return ""
	}
	return w.rest[0].text
}

// next takes the next word; its text is "" at the end.
func (w *words) next() word {
	if w.peek() == "" {
		return word{at: w.end}
	}
	first := w.rest[0]
	w.rest = w.rest[1:]
	return first
}

// take takes the next word where it is the one.
func (w *words) take(text string) bool {
	if w.peek() != text {
		return false
	}
	w.next()
	return true
}

// wrong says that something else was wanted where x stands, and ends the line.
func (w *words) wrong(x word, want string, candidates ...string) {
	if w.bad {
		return
	}
	w.bad = true
	got, hint := "the end of the line", ""
	if x.text != "" {
		got, hint = quote(x.text), w.value.Meant(x.text, candidates)
	}
	w.value.SayAt(x.at, "want %s, got %s%s", want, got, hint)
}

// expect takes the next word, which has to be the one.
func (w *words) expect(text string) {
	if x := w.next(); x.text != text {
		w.wrong(x, strconv.Quote(text), text)
	}
}

// done says that there are words left that nothing asked for.
func (w *words) done() {
	if w.peek() != "" {
		w.wrong(w.next(), "the end of the line")
	}
}

func quote(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strconv.Quote(s)
}

// list joins words as "a, b or c".
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}

var percentRegexp = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4})?%$`)

// share reads a share such as 40%, as a number from 0 to 1.
func (w *words) share() float64 {
	x := w.next()
	v, err := strconv.ParseFloat(strings.TrimSuffix(x.text, "%"), 64)
	if !percentRegexp.MatchString(x.text) || err != nil || !(v >= 0 && v <= 100) {
		w.wrong(x, "a share from 0% to 100%, such as 40%")
		return 0
	}
	return v / 100
}

// isShare reports whether the next word is a share.
func (w *words) isShare() bool { return percentRegexp.MatchString(w.peek()) }

func (w *words) duration(least, most time.Duration) time.Duration {
	x := w.next()
	d, err := route.ParseDuration(x.text)
	if err != nil || d.D() < least || d.D() > most {
		w.wrong(x, fmt.Sprintf("a duration such as 30s, from %s to %s", route.Duration(least), route.Duration(most)))
		return 0
	}
	return d.D()
}

var rateRegexp = regexp.MustCompile(`^([0-9]{1,6}(?:\.[0-9]{1,6})?)/([smh])$`)

// maxRate bounds the messages a second of one line.
const maxRate = 10_000

// rate reads messages in a time, such as 10/s, in messages a second; ok is false where the next word has another form.
func (w *words) rate() (perSecond float64, ok bool) {
	m := rateRegexp.FindStringSubmatch(w.peek())
	if m == nil {
		return 0, false
	}
	x := w.next()
	v, err := strconv.ParseFloat(m[1], 64)
	v /= map[string]float64{"s": 1, "m": 60, "h": 3600}[m[2]]
	if err != nil || !(v >= 0 && v <= maxRate) {
		w.wrong(x, fmt.Sprintf("a rate from 0/s to %d/s", maxRate))
	}
	return v, true
}

func (w *words) count(most float64) float64 {
	x := w.next()
	v, err := strconv.ParseFloat(x.text, 64)
	if err != nil || !(v > 0 && v <= most) || math.IsInf(v, 0) {
		w.wrong(x, fmt.Sprintf("a number above 0 and at most %v", most))
		return 0
	}
	return v
}
