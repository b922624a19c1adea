package repo

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// allowedSigner is a line of ssh's allowed_signers file: ALLOWED SIGNERS in ssh-keygen(1).
type allowedSigner struct {
	principals    string
	key           []byte    // in the wire format
	after, before time.Time // when it may have signed; zero: at any time
	elsewhere     bool      // its namespaces are others than git's
}

func (a *allowedSigner) allows(when time.Time) error {
	switch {
	case a.elsewhere:
		return fmt.Errorf("its namespaces do not have %q", gitNamespace)
	case !a.after.IsZero() && when.Before(a.after):
		return fmt.Errorf("it is valid only after %s, and the commit is of %s", a.after.UTC().Format(time.RFC3339), when.Format(time.RFC3339))
	case !a.before.IsZero() && !when.Before(a.before):
		return fmt.Errorf("it was valid only before %s, and the commit is of %s", a.before.UTC().Format(time.RFC3339), when.Format(time.RFC3339))
	}
	return nil
}

// parseAllowedSigners reads lines of PRINCIPALS [OPTIONS] TYPE KEY [COMMENT].
func parseAllowedSigners(name string, data []byte) ([]allowedSigner, error) {
	var all []allowedSigner
	for i, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		a, err := parseAllowedSigner(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		all = append(all, a)
	}
	return all, nil
}

func parseAllowedSigner(line string) (allowedSigner, error) {
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && strings.HasPrefix(line, key.Type()) {
		return allowedSigner{}, errors.New("want PRINCIPALS TYPE KEY, got a public key alone: put a name before it, such as ops@example.org")
	}
	principals, rest := cutWord(line)
	// A certificate of ssh marks the authorities of others; what stands here is keys.
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil || principals == "" {
		return allowedSigner{}, errors.New("want PRINCIPALS [OPTIONS] TYPE KEY, got what cannot be read as such")
	}
	if _, is := key.(*ssh.Certificate); is {
		return allowedSigner{}, errors.New("want a key, got a certificate")
	}
	a := allowedSigner{principals: principals, key: key.Marshal()}
	for _, o := range options {
		if err := a.option(o); err != nil {
			return allowedSigner{}, err
		}
	}
	return a, nil
}

// cutWord takes the first word off a line; it may stand in quotes.
func cutWord(line string) (word, rest string) {
	if q, ok := strings.CutPrefix(line, `"`); ok {
		word, rest, ok = strings.Cut(q, `"`)
		if !ok {
			return "", ""
		}
		return word, strings.TrimLeft(rest, " \t")
	}
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimLeft(line[i:], " \t")
}

func (a *allowedSigner) option(text string) (err error) {
	name, value, _ := strings.Cut(text, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToLower(name) {
	case "namespaces":
		in, err := matches(value, gitNamespace)
		a.elsewhere = !in
		return err
	case "valid-after":
		a.after, err = parseSSHTime(value)
		return err
	case "valid-before":
		a.before, err = parseSSHTime(value)
		return err
	case "cert-authority":
		return errors.New("want the keys themselves, got cert-authority: certificates are not supported")
	}
	return fmt.Errorf("want the options namespaces, valid-after or valid-before, got %.40q", name)
}

// matches reports whether a word fits a list of patterns with * and ?, of which one that begins with ! forbids.
func matches(list, word string) (bool, error) {
	found := false
	for _, p := range strings.Split(list, ",") {
		p, not := strings.CutPrefix(p, "!")
		if strings.ContainsAny(p, `[]\`) {
			return false, fmt.Errorf("want namespaces of letters, * and ?, got %.40q", p)
		}
		ok, err := path.Match(p, word)
		if err != nil {
			return false, err
		}
		if ok && not {
			return false, nil
		}
		found = found || ok
	}
	return found, nil
}

// parseSSHTime reads YYYYMMDD[HHMM[SS]], in the zone of this machine or, with a Z behind it, in UTC.
func parseSSHTime(s string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(s, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) != len(digits) {
			continue
		}
		if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("want a time such as 20261231 or 20261231235959Z, got %.40q", s)
}

// committedAt is when a commit says that it was made, which is what git asks ssh about.
func committedAt(payload []byte) (time.Time, error) {
	header, _, _ := bytes.Cut(payload, []byte("\n\n"))
	for _, line := range bytes.Split(header, []byte("\n")) {
		rest, ok := bytes.CutPrefix(line, []byte("committer "))
		if !ok {
			continue
		}
		words := bytes.Fields(rest)
		if len(words) < 2 {
			break
		}
		seconds, err := strconv.ParseInt(string(words[len(words)-2]), 10, 64)
		if err != nil {
			break
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	return time.Time{}, errors.New("want a commit that says when it was made, got one that does not")
}
