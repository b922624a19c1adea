package ingest

// maxNames bounds the names that a decoder remembers; a policy has hundreds of them.
const maxNames = 8192

// names makes one string of equal texts, so that a stream of observations allocates none. It forgets everything when it
// is full: names that are made up by a source cost that source time, and nobody memory.
type names struct {
	last [fieldOther]string // the last of each field; lines of one batch are much alike
	seen map[string]string
}

func (n *names) intern(f field, b []byte) string {
	if n.last[f] == string(b) {
		return n.last[f]
	}
	s, ok := n.seen[string(b)]
	if !ok {
		if n.seen == nil {
			n.seen = make(map[string]string)
		}
		if len(n.seen) >= maxNames {
			clear(n.seen)
		}
		s = string(b)
		n.seen[s] = s
	}
	n.last[f] = s
	return s
}

// isName reports whether b can name a route, a class, a source or a kind of probe.
func isName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName || !nameByte[b[0]] || punctuation(b[0]) {
		return false
	}
	for _, c := range b {
		if !nameByte[c] {
			return false
		}
	}
	return true
}

func punctuation(c byte) bool { return c == '.' || c == '_' || c == '-' }

var nameByte = func() (t [256]bool) {
	for c := range t {
		b := byte(c)
		t[c] = isDigit(b) || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || punctuation(b)
	}
	return t
}()
