package ingest

import (
	"strings"

	"signalbox/rules/route"
)

// faultOf says whose fault a refused submit is, from its code: an SMPP command_status as 0x58, as 88, or by its name
// ESME_RTHROTTLED. Whatever is none of the known ones is the route's fault.
func faultOf(code string) route.Fault {
	if name, ok := strings.CutPrefix(code, "ESME_"); ok {
		return faultOfName(name)
	}
	n, ok := commandStatus(code)
	if !ok {
		return route.FaultRoute
	}
	return route.FaultOfStatus(n)
}

// faultOfName knows the names of the same codes, from SMPP 3.4, table 5-2.
func faultOfName(name string) route.Fault {
	switch name {
	case "RMSGQFUL", "RTHROTTLED":
		return route.FaultCapacity
	case "RINVSRCADR", "RINVDSTADR", "RINVSCHED", "RINVEXPIRY":
		return route.FaultMessage
	case "RINVPASWD", "RINVSYSID", "RINVSYSTYP":
		return route.FaultConfig
	}
	return route.FaultRoute
}

// commandStatus reads a number of 32 bits. It is not strconv.ParseUint because that allocates its errors, and most
// carriers' own codes are no numbers.
func commandStatus(s string) (status uint32, ok bool) {
	n := uint64(0)
	base := uint64(10)
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		s, base = s[2:], 16
	}
	for i := range len(s) {
		digit := uint64(99)
		switch c := s[i]; {
		case isDigit(c):
			digit = uint64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = uint64(c|0x20-'a') + 10
		}
		if n = n*base + digit; digit >= base || n > 1<<32-1 {
			return 0, false
		}
	}
	return uint32(n), s != ""
}
