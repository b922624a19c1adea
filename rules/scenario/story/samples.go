package story

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// sample is one value of a series.
type sample struct {
	kind  sampleKind
	value float64 // where it is a sampleValue
}

type sampleKind int

const (
	sampleValue sampleKind = iota
	sampleNone             // _: nothing is said
	sampleStale            // stale: it is known that nothing is known
)

// maxSamples bounds a series.
const maxSamples = 100_000

// The notation is the one of promtool's unit tests for rules: "1", "1x3" is four times 1, "1+2x3" is 1 3 5 7, "5-1x2" is
// 5 4 3, "_" is no sample, "_x3" is three times none, "stale" is the end of what is known.
var (
	repeatedRegexp = regexp.MustCompile(`^_x([0-9]{1,6})$`)
	growingRegexp  = regexp.MustCompile(`^(` + decimal + `)(?:([+-])(` + decimal + `))?x([0-9]{1,6})$`)
	singleRegexp   = regexp.MustCompile(`^` + decimal + `$`)
)

const decimal = `-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?`

// samplePattern is a whole series, for editors.
const samplePattern = `^\s*((_(x[0-9]+)?|stale|` + decimal + `([+-]` + decimal + `)?(x[0-9]+)?)(\s+|$))+$`

// readSamples reads one word of a series that has so many samples before it. Its problem is what was wanted, or "".
func readSamples(text string, before int) (out []sample, problem string) {
	const want = "a value in promtool's notation, such as 1, 0x3 (four times 0), 1+2x3 (1 3 5 7), _, _x5 or stale"
	count := func(digits string) int {
		n, err := strconv.Atoi(digits)
		if err != nil || n > maxSamples {
			return maxSamples + 1
		}
		return n
	}
	one := sample{}
	n, step := 1, 0.0
	switch {
	case text == "_":
		one.kind = sampleNone
	case text == "stale":
		one.kind = sampleStale
	case repeatedRegexp.MatchString(text):
		one.kind, n = sampleNone, count(text[2:])
	case singleRegexp.MatchString(text):
		one.value = number(text)
	case growingRegexp.MatchString(text):
		m := growingRegexp.FindStringSubmatch(text)
		one.value, n = number(m[1]), count(m[4])+1
		if m[3] != "" {
			step = number(m[2] + strings.TrimPrefix(m[3], "-"))
		}
		if strings.HasPrefix(m[3], "-") {
			step = -step
		}
	default:
		return nil, want
	}
	if before+n > maxSamples {
		return nil, fmt.Sprintf("at most %d values in a series", maxSamples)
	}
	for i := range n {
		s := one
		s.value += float64(i) * step
		if math.IsInf(s.value, 0) || math.IsNaN(s.value) {
			return nil, want
		}
		out = append(out, s)
	}
	return out, ""
}

// number reads what the expressions above have let through.
func number(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}
