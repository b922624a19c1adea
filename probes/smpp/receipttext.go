package smpp

import "strings"

// receiptKey is a key of the receipt text (SMPP 3.4, appendix B).
type receiptKey uint8

const (
	keyNone receiptKey = iota
	keyID
	keySub
	keyDlvrd
	keySubmit
	keyDone
	keyStat
	keyErr
	keyText
	keyCount
)

// receiptKeys are the spellings of the keys, in lower case. One that begins with another stands before it.
var receiptKeys = []struct {
	word string
	key  receiptKey
}{
	{"id", keyID}, {"sub", keySub}, {"dlvrd", keyDlvrd},
	{"submit date", keySubmit}, {"submit_date", keySubmit}, {"submitdate", keySubmit},
	{"done date", keyDone}, {"done_date", keyDone}, {"donedate", keyDone},
	{"stat", keyStat}, {"status", keyStat}, {"err", keyErr}, {"error", keyErr}, {"text", keyText},
}

// receiptValues are the values by key; nil where the text has no such key. They alias the text.
type receiptValues [keyCount][]byte

// scanReceipt collects the values in one pass. What follows "text:" are words of the message, which anybody may have
// chosen and which must not be kept. They count only where nothing of a receipt stands before them, so that the SMSC's
// own words have to follow; the last of each key is then the SMSC's.
func scanReceipt(text []byte) receiptValues {
	var before, after receiptValues
	into, quoted := &before, false
	var bare []byte
	for pos := skipGap(text, 0); pos < len(text); pos = skipGap(text, pos) {
		key, next := keyAt(text, pos)
		if key == keyNone {
			next = wordEnd(text, pos)
			if word := text[pos:next]; bare == nil && !quoted && isState(word) {
				bare = word
			}
			pos = next
			continue
		}
		if key == keyText {
			into, quoted, pos = &after, true, next
			continue
		}
		var value []byte
		value, pos = valueAt(text, next)
		if quoted || len(into[key]) == 0 {
			into[key] = value
		}
	}
	if len(before[keyStat]) == 0 {
		before[keyStat] = bare
	}
	if len(before[keyID]) == 0 && len(before[keyStat]) == 0 {
		return after
	}
	return before
}

// isState reports whether word, as it is, names a state: some peers send it without its key.
func isState(word []byte) bool {
	_, ok := textStates[string(word)]
	return ok
}

// valueAt is the word after a key, and where to go on; empty where the next key follows at once.
func valueAt(text []byte, pos int) (value []byte, next int) {
	start := skipGap(text, pos)
	if key, _ := keyAt(text, start); key != keyNone {
		return []byte{}, start
	}
	end := wordEnd(text, start)
	return text[start:end], end
}

// keyAt is the key that begins at pos, and the place after its colon.
func keyAt(text []byte, pos int) (receiptKey, int) {
	for _, k := range receiptKeys {
		if !hasWordAt(text, pos, k.word) {
			continue
		}
		end := skipBlanks(text, pos+len(k.word))
		if end < len(text) && text[end] == ':' {
			return k.key, end + 1
		}
	}
	return keyNone, pos
}

// hasWordAt compares octets, since folding the case of invalid UTF-8 would change lengths.
func hasWordAt(text []byte, pos int, word string) bool {
	if len(text)-pos < len(word) {
		return false
	}
	for i := range len(word) {
		c := text[pos+i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// gaps separate one value from the next key.
const gaps = " \t\r\n\x00,;|"

func skipGap(text []byte, pos int) int {
	for pos < len(text) && strings.IndexByte(gaps, text[pos]) >= 0 {
		pos++
	}
	return pos
}

func skipBlanks(text []byte, pos int) int {
	for pos < len(text) && text[pos] == ' ' {
		pos++
	}
	return pos
}

func wordEnd(text []byte, pos int) int {
	for pos < len(text) && strings.IndexByte(gaps, text[pos]) < 0 {
		pos++
	}
	return pos
}
