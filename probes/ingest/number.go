package ingest

import (
	"math"
	"strconv"
	"time"
	"unsafe"
)

// alias is b as a string that lives and changes with b. It is for looking things up and parsing, never for keeping.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// seconds reads a JSON number of seconds, exactly to the nanosecond; further digits are dropped. Numbers with an
// exponent, and very long ones, go through a float64, which is off by less than a microsecond for every time until 2100.
// ok is false beyond 285 years from 0.
func seconds(b []byte) (sec, nsec int64, ok bool) {
	i := 0
	if b[0] == '-' {
		i = 1
	}
	n := digits(b[i:])
	if n > 10 {
		return slowSeconds(b)
	}
	for end := i + n; i < end; i++ {
		sec = sec*10 + int64(b[i]-'0')
	}
	if i < len(b) && b[i] == '.' {
		unit := int64(100_000_000)
		for i++; i < len(b) && isDigit(b[i]); i++ {
			nsec += int64(b[i]-'0') * unit
			unit /= 10
		}
	}
	if i < len(b) { // an exponent
		return slowSeconds(b)
	}
	if b[0] == '-' {
		sec, nsec = -sec, -nsec
	}
	return sec, nsec, sec < maxSeconds && sec > -maxSeconds
}

const maxSeconds = 9_000_000_000

func slowSeconds(b []byte) (sec, nsec int64, ok bool) {
	f, err := strconv.ParseFloat(alias(b), 64)
	if err != nil || !(math.Abs(f) < maxSeconds) {
		return 0, 0, false
	}
	whole, part := math.Modf(f)
	return int64(whole), int64(math.Round(part * 1e9)), true
}

// rfc3339 reads the times of RFC 3339 such as 2026-11-23T10:00:00.120Z, with any number of digits in the fraction, of
// which nine count. There are no leap seconds.
func rfc3339(b []byte) (sec, nsec int64, ok bool) {
	if len(b) < 20 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, 0, false
	}
	century, year := two(b[0:]), two(b[2:])
	month, day := two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if century|year|month|day|hour|minute|second < 0 || hour > 23 || minute > 59 || second > 59 {
		return 0, 0, false
	}
	year += 100 * century
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, 0, false
	}
	nsec, rest, ok := fraction(b[19:])
	offset, ok2 := zone(rest)
	sec = (unixDay(year, month, day)*24+hour)*3600 + minute*60 + second - offset
	return sec, nsec, ok && ok2
}

// two reads two digits; it is negative where they are none.
func two(b []byte) int64 {
	if !isDigit(b[0]) || !isDigit(b[1]) {
		return -1
	}
	return int64(b[0]-'0')*10 + int64(b[1]-'0')
}

// fraction reads the part of a second that b may begin with.
func fraction(b []byte) (nsec int64, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	b = b[1:]
	n := digits(b)
	for i, unit := 0, int64(100_000_000); i < n; i, unit = i+1, unit/10 {
		nsec += int64(b[i]-'0') * unit
	}
	return nsec, b[n:], n > 0
}

// zone reads Z or an offset such as +02:00, in seconds east of UTC.
func zone(b []byte) (offset int64, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	hours, minutes := two(b[1:]), two(b[4:])
	if hours|minutes < 0 || hours > 23 || minutes > 59 {
		return 0, false
	}
	offset = hours*3600 + minutes*60
	if b[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// unixDay is the number of days from 1970-01-01 in the Gregorian calendar. Counting a year from March on puts the leap
// day last, and the days before a month are then (153 m + 2) / 5.
func unixDay(year, month, day int64) int64 {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	if year < 0 { // January of the year 0
		return -719529
	}
	return year*365 + year/4 - year/100 + year/400 + (153*month+2)/5 + day - 1 - 719468
}

// The times that an observation may have: from 2000 on, until the end of 2099.
var (
	firstSecond = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Unix() - 1
)
