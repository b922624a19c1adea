package route

import (
	"fmt"
	"strconv"
	"strings"
)

// Generation numbers a published table. The number grows by one with each table; the epoch grows only when state was
// restored from elsewhere, and then the number starts again.
type Generation struct {
	Epoch  uint64
	Number uint64
}

// ParseGeneration reads the form "1-42".
func ParseGeneration(s string) (Generation, error) {
	e, n, ok := strings.Cut(s, "-")
	epoch, err1 := strconv.ParseUint(e, 10, 64)
	number, err2 := strconv.ParseUint(n, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Generation{}, fmt.Errorf(`want a generation such as "1-42", got %q`, s)
	}
	return Generation{epoch, number}, nil
}

// ParseDecisionID reads the id of a decision, such as "1-42-3": the generation that it belongs to, and its number there.
func ParseDecisionID(s string) (g Generation, ordinal uint64, err error) {
	at := strings.LastIndexByte(s, '-')
	if at > 0 {
		if ordinal, err = strconv.ParseUint(s[at+1:], 10, 64); err == nil {
			g, err = ParseGeneration(s[:at])
		}
	}
	if at <= 0 || err != nil {
		return Generation{}, 0, fmt.Errorf(`want the id of a decision such as "1-42-3", got %q`, s)
	}
	return g, ordinal, nil
}

// String is the generation in the form "1-42".
func (g Generation) String() string {
	return strconv.FormatUint(g.Epoch, 10) + "-" + strconv.FormatUint(g.Number, 10)
}

// Newer reports whether g was published after h: in a greater epoch, or with a greater number in the same one.
func (g Generation) Newer(h Generation) bool {
	return g.Epoch > h.Epoch || g.Epoch == h.Epoch && g.Number > h.Number
}

// Next is the generation that follows g.
func (g Generation) Next() Generation { return Generation{g.Epoch, g.Number + 1} }

// MarshalText writes the form of String.
func (g Generation) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads the form of ParseGeneration.
func (g *Generation) UnmarshalText(b []byte) error {
	v, err := ParseGeneration(string(b))
	*g = v
	return err
}
