package probes

import (
	"errors"
	"fmt"
	"strings"

	"signalbox/rules/route"
)

// Number is a test number: a phone that belongs to whoever runs the probes. Messages are sent to no other.
type Number struct {
	Digits  string        // international, 7 to 15 digits without a plus (ITU-T E.164)
	Network route.Network // that it is on: MCC-MNC or country
}

// Numbers gives test numbers in turn, so that none of them gets all messages. It is not safe for use by several goroutines.
type Numbers struct {
	list []Number
	next int
}

// NewNumbers checks the numbers. Errors name them by their place, never by their digits.
func NewNumbers(list []Number) (*Numbers, error) {
	if len(list) == 0 {
		return nil, errors.New("numbers: want at least one test number, got none")
	}
	for i, n := range list {
		if err := n.Check(); err != nil {
			return nil, fmt.Errorf("numbers[%d]: %w", i, err)
		}
	}
	return &Numbers{list: append([]Number(nil), list...)}, nil
}

// Check says what is wrong with a number, without repeating it.
func (n Number) Check() error {
	if strings.Trim(n.Digits, "0123456789") != "" || len(n.Digits) < 7 || len(n.Digits) > 15 || n.Digits[0] == '0' {
		return fmt.Errorf("want an international number of 7 to 15 digits that begins with its country's code, without + or 00, got %d characters that are not one", len(n.Digits))
	}
	if _, err := route.ParseNetwork(string(n.Network)); err != nil || n.Network == route.AnyNetwork {
		return fmt.Errorf(`network: want the number's own such as "234-15" or "GB", got %q`, n.Network)
	}
	return nil
}

// Next is the number whose turn it is.
func (n *Numbers) Next() Number {
	x := n.list[n.next]
	n.next = (n.next + 1) % len(n.list)
	return x
}

// maskedMost is how long a sender ID may be as it is shown; the protocol's have 11 letters or 20 digits at most.
const maskedMost = 24

// Masked is an address without a phone number: of one with seven digits or more, however they are written, only the last
// three stay. A name stays as it is, cut where it is longer than names are.
func Masked(address string) string {
	digits := make([]byte, 0, 16)
	for i := range len(address) {
		if c := address[i]; c >= '0' && c <= '9' {
			digits = append(digits, c)
		}
	}
	if n := len(digits); n >= 7 {
		return "…" + string(digits[n-3:])
	}
	if r := []rune(address); len(r) > maskedMost {
		return string(r[:maskedMost]) + "…"
	}
	return strings.ToValidUTF8(address, "?")
}
