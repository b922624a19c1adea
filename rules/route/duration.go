package route

import (
	"fmt"
	"strconv"
	"time"
)

// Duration is a time.Duration whose text form is the one of policies and of Prometheus: 1h30m, 40s, 250ms.
type Duration time.Duration

// D is the duration as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is the duration in its shortest form: "90s" is "1m30s", and a day is "1d".
func (d Duration) String() string {
	v := time.Duration(d)
	if v == 0 {
		return "0s"
	}
	s := ""
	if v < 0 {
		s, v = "-", -v
	}
	for _, u := range units {
		if n := v / u.size; n > 0 {
			s += strconv.FormatInt(int64(n), 10) + u.name
			v -= n * u.size
		}
	}
	return s
}

var units = []struct {
	name string
	size time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond}}

// ParseDuration reads durations such as 30s, 1h30m, 250ms and 7d. They are never negative.
func ParseDuration(s string) (Duration, error) {
	bad := fmt.Errorf(`want a duration such as 30s, got %q`, s)
	if s == "" || len(s) > 32 {
		return 0, bad
	}
	if s == "0" {
		return 0, nil
	}
	var sum time.Duration
	for rest := s; rest != ""; {
		i := 0
		for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			i++
		}
		j := i
		for j < len(rest) && rest[j] >= 'a' && rest[j] <= 'z' {
			j++
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		size := unit(rest[i:j])
		if err != nil || size == 0 || n > int64(maxDuration/size) {
			return 0, bad
		}
		if sum += time.Duration(n) * size; sum > maxDuration {
			return 0, bad
		}
		rest = rest[j:]
	}
	return Duration(sum), nil
}

const maxDuration = 100 * 365 * 24 * time.Hour

func unit(name string) time.Duration {
	for _, u := range units {
		if u.name == name {
			return u.size
		}
	}
	return 0
}

// MarshalText writes the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	*d = v
	return err
}
