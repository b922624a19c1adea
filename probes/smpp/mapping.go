package smpp

import (
	"fmt"
	"math/big"
	"strings"
)

// IDs says how the ids of one SMSC's receipts spell those of its responses. Both are brought into one form, so that they
// compare: an id that the form does not fit is compared as it is.
type IDs uint8

// The spellings met.
const (
	IDsAsIs        IDs = iota // the same; only leading zeros and the case of letters may differ
	IDsResponseHex            // hexadecimal in the response, decimal in the receipt
	IDsReceiptHex             // decimal in the response, hexadecimal in the receipt
	IDsBothHex                // hexadecimal in both
)

var idsNames = [...]string{"as_is", "response_hex", "receipt_hex", "both_hex"}

// String is the spelling as it is written in a configuration.
func (m IDs) String() string {
	if int(m) >= len(idsNames) {
		return fmt.Sprintf("ids %d", m)
	}
	return idsNames[m]
}

// ParseIDs reads what String writes.
func ParseIDs(s string) (IDs, error) {
	for i, name := range idsNames {
		if name == s {
			return IDs(i), nil
		}
	}
	return 0, fmt.Errorf("want %s, got %q", strings.Join(idsNames[:], ", "), s)
}

// Response is the form of an id in a response to a submit.
func (m IDs) Response(id string) string {
	switch m {
	case IDsResponseHex, IDsBothHex:
		return numbered(id, 16)
	case IDsReceiptHex:
		return numbered(id, 10)
	}
	return plain(id)
}

// Receipt is the form of an id in a receipt.
func (m IDs) Receipt(id string) string {
	switch m {
	case IDsReceiptHex, IDsBothHex:
		return numbered(id, 16)
	case IDsResponseHex:
		return numbered(id, 10)
	}
	return plain(id)
}

// plain is an id without what SMSCs change on the way to a receipt.
func plain(id string) string {
	id = strings.ToUpper(id)
	if trimmed := strings.TrimLeft(id, "0"); trimmed != "" {
		return trimmed
	}
	return id
}

// numbered is the number that an id spells in a base, in decimal; ids may be longer than 64 bits.
func numbered(id string, base int) string {
	digits := id
	if base == 16 {
		digits = strings.TrimPrefix(strings.ToLower(id), "0x")
	}
	if digits == "" || len(digits) > 64 || strings.ContainsAny(digits, "+-_") {
		return plain(id)
	}
	n, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return plain(id)
	}
	return n.String()
}

// suggest is the spelling under which a receipt would belong to a response, where the one in use does not see it.
func (m IDs) suggest(response, receipt string) (IDs, bool) {
	if m.Response(response) == m.Receipt(receipt) {
		return m, false
	}
	for other := range IDs(len(idsNames)) {
		if other.Response(response) == other.Receipt(receipt) {
			return other, true
		}
	}
	return m, false
}

// spellings compares the ids of the newest responses with those of receipts that belong to no message, to find out whether
// they are spelt otherwise than was said. Either may come first.
type spellings struct {
	ids       IDs
	responses [spellingsKept]string // round and round; "" is none
	receipts  [spellingsKept]string
	sent      int
	came      int
	fit       [len(idsNames)]int // receipts that would fit, by spelling
}

const (
	spellingsKept = 8
	// oddLeast is how many receipts must fit another spelling before it is suggested.
	oddLeast = 3
)

func (s *spellings) response(id string) {
	s.responses[s.sent%spellingsKept] = id
	s.sent++
	for i, receipt := range s.receipts {
		if receipt != "" && s.fits(id, receipt) {
			s.receipts[i] = ""
		}
	}
}

func (s *spellings) stray(id string) {
	for _, response := range s.responses {
		if response != "" && s.fits(response, id) {
			return
		}
	}
	s.receipts[s.came%spellingsKept] = id
	s.came++
}

// fits counts a pair that another spelling makes one.
func (s *spellings) fits(response, receipt string) bool {
	ids, fits := s.ids.suggest(response, receipt)
	if fits {
		s.fit[ids]++
	}
	return fits
}

// better is the spelling that most receipts would fit, and how many; 0 where there are too few.
func (s *spellings) better() (ids IDs, n int) {
	for i, fit := range s.fit {
		if fit >= oddLeast && fit > n {
			ids, n = IDs(i), fit
		}
	}
	return ids, n
}
