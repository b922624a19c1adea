package access

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Problem is one thing that is wrong with a file, with its place. It never repeats what may be a secret.
type Problem struct {
	File         string
	Line, Column int
	Path         string // such as tokens[0].role
	Text         string // want …, got …
}

// Error is the problem on one line.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Path, p.Text)
}

// Problems is everything that is wrong with a file.
type Problems []Problem

// Error has a line for each.
func (ps Problems) Error() string { return strings.Join(ps.Problems(), "\n") }

// Problems are the lines one by one.
func (ps Problems) Problems() []string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return lines
}

// Roles are those that there are.
var Roles = []string{"sender", "source", "viewer", "operator", "admin"}

// namePattern is of names of senders, sources, vantage points and people: what all of these take.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

const wantName = "a name of at most 64 letters, digits and . _ -, such as gw-1"

// CheckName says what was wanted of a name that cannot be a token's.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("want %s, got %q", wantName, shorten(name))
	}
	return nil
}

// token is a line of the tokens file.
type token struct {
	name, role string
	hash       hash
	notAfter   time.Time // zero: never ends
	rate       float64   // calls a second
	burst      int
	node       *yaml.Node
}

// The rates of tokens whose line names none, in calls a second: far above what any client of that role needs, and low
// enough that one that runs wild hurts nobody.
const (
	rateOfSources = 2000 // a provider's webhook brings each receipt in a call of its own
	rateOfOthers  = 100
)

func rateOf(role string) float64 {
	if role == "source" {
		return rateOfSources
	}
	return rateOfOthers
}

// tokensFile reads the file of tokens and roles of users.
type tokensFile struct {
	file     string
	tokens   []*token
	users    map[string]string // roles by name
	problems Problems
}

func readTokens(file string, data []byte) (*tokensFile, error) {
	f := &tokensFile{file: file, users: map[string]string{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, Problems{{file, lineOf(err), 1, "file", "want YAML: " + quoted.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "a value")}}
	}
	if len(doc.Content) == 0 {
		return nil, Problems{{file, 1, 1, "file", "want tokens, got an empty file"}}
	}
	f.mapping(doc.Content[0], "file", map[string]func(*yaml.Node, string){"tokens": f.list, "users": f.roles})
	f.compare()
	if len(f.problems) > 0 {
		slices.SortStableFunc(f.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, f.problems
	}
	return f, nil
}

// quoted is what a parser repeats of a file.
var quoted = regexp.MustCompile("`[^`]*`|'[^']*'|\"[^\"]*\"")

var lineNumber = regexp.MustCompile(`line (\d+)`)

func lineOf(err error) int {
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1]) // it is digits
		return n
	}
	return 1
}

func (f *tokensFile) say(n *yaml.Node, path, format string, args ...any) {
	f.problems = append(f.problems, Problem{f.file, n.Line, n.Column, path, fmt.Sprintf(format, args...)})
}

// mapping reads the keys of a mapping, each by its reader.
func (f *tokensFile) mapping(n *yaml.Node, path string, readers map[string]func(n *yaml.Node, path string)) {
	if n.Kind != yaml.MappingNode {
		f.say(n, path, "want a mapping of %s", words(readers))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := readers[key.Value]
		switch {
		case read == nil:
			f.say(key, path, "want only %s, got another key", words(readers))
		case seen[key.Value]:
			f.say(key, path, "want %s once", key.Value)
		default:
			read(value, strings.TrimPrefix(path+"."+key.Value, "file."))
		}
		seen[key.Value] = true
	}
}

func words(readers map[string]func(*yaml.Node, string)) string {
	var all []string
	for w := range readers {
		all = append(all, w)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (f *tokensFile) list(n *yaml.Node, path string) {
	if n.Kind != yaml.SequenceNode {
		f.say(n, path, `want a list of lines such as {name: gw-1, role: sender, sha256: "…"}`)
		return
	}
	for i, line := range n.Content {
		f.token(line, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (f *tokensFile) token(n *yaml.Node, path string) {
	t, before := &token{node: n}, len(f.problems)
	f.mapping(n, path, map[string]func(*yaml.Node, string){
		"name":      f.text(wantName, func(s string) bool { t.name = s; return namePattern.MatchString(s) }),
		"role":      f.text(strings.Join(Roles, ", "), func(s string) bool { t.role = s; return slices.Contains(Roles, s) }),
		"sha256":    f.text("64 hex digits, the SHA-256 of the token", func(s string) bool { return t.hash.parse(s) }),
		"not_after": f.text("a date such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z", func(s string) bool { return parseEnd(s, &t.notAfter) }),
		"rate":      f.text("calls in a time, such as 50/s or 600/m", func(s string) bool { return parseRate(s, &t.rate) }),
		"burst":     f.text("a whole number of calls from 1 to 1000000", func(s string) (ok bool) { t.burst, ok = parseBurst(s); return ok }),
	})
	if len(f.problems) > before {
		return
	}
	if t.name == "" || t.role == "" || t.hash == (hash{}) {
		f.say(n, path, "want name, role and sha256")
		return
	}
	if t.rate == 0 {
		t.rate = rateOf(t.role)
	}
	if t.burst == 0 {
		t.burst = max(1, int(2*t.rate))
	}
	f.tokens = append(f.tokens, t)
}

// text reads a scalar. What was there is not repeated: it may be a secret in the wrong place.
func (f *tokensFile) text(want string, set func(s string) bool) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || !set(n.Value) {
			f.say(n, path, "want %s", want)
		}
	}
}

// compare looks at what lines have to have in common. Two of one name are a rotation: both are good.
func (f *tokensFile) compare() {
	byName, byHash := map[string]*token{}, map[hash]*token{}
	for _, t := range f.tokens {
		if o := byHash[t.hash]; o != nil {
			f.say(t.node, "tokens", "want a token of its own for %s, got that of line %d", t.name, o.node.Line)
		}
		byHash[t.hash] = t
		if o := byName[t.name]; o != nil && (o.role != t.role || o.rate != t.rate || o.burst != t.burst) {
			f.say(t.node, "tokens", "want the role, rate and burst that %s has at line %d: lines of one name are one client", t.name, o.node.Line)
		}
		byName[t.name] = t
	}
}

func (f *tokensFile) roles(n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		f.say(n, path, "want roles by the names of users, such as {ann: operator}")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f.text(strings.Join(Roles, ", "), func(s string) bool { f.users[key.Value] = s; return slices.Contains(Roles, s) })(value, path+"."+shorten(key.Value))
	}
}

// hash is the SHA-256 of a token.
type hash [32]byte

func (h *hash) parse(s string) bool {
	if len(s) != hex.EncodedLen(len(h)) {
		return false
	}
	_, err := hex.Decode(h[:], []byte(s))
	return err == nil
}

// parseEnd reads the last day of a token, which it is good for to its end (UTC), or the moment.
func parseEnd(s string, to *time.Time) bool {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		*to = day.AddDate(0, 0, 1)
		return true
	}
	var err error
	*to, err = time.Parse(time.RFC3339, s)
	return err == nil
}

func parseRate(s string, to *float64) bool {
	number, unit, _ := strings.Cut(s, "/")
	per := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	*to = n / per
	return err == nil && per > 0 && n > 0 && *to <= 1e6
}

func parseBurst(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= 1_000_000
}

// ParseRate reports whether a word is a rate such as 50/s.
func ParseRate(s string) bool {
	var rate float64
	return parseRate(s, &rate)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
