package smpp

import "testing"

func TestIDsOfResponseAndReceiptCompare(t *testing.T) {
	for name, c := range map[string]struct {
		ids               IDs
		response, receipt string
		same              bool
	}{
		"the same":                             {IDsAsIs, "abc-1", "abc-1", true},
		"another case":                         {IDsAsIs, "ABCD1", "abcd1", true},
		"leading zeros are lost":               {IDsAsIs, "0000123", "123", true},
		"nothing but zeros":                    {IDsAsIs, "000", "000", true},
		"hexadecimal, then decimal":            {IDsResponseHex, "25EB3B3D", "636173117", true},
		"decimal, then hexadecimal":            {IDsReceiptHex, "636173117", "25eb3b3d", true},
		"hexadecimal in both, zeros lost":      {IDsBothHex, "00AF", "af", true},
		"with 0x":                              {IDsBothHex, "0xAF", "af", true},
		"longer than 64 bits":                  {IDsResponseHex, "FFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175", true},
		"not hexadecimal, so as it is":         {IDsResponseHex, "n2-x", "N2-X", true},
		"a UUID in both":                       {IDsAsIs, "550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-446655440000", true},
		"hexadecimal read as it is":            {IDsAsIs, "25EB3B3D", "636173117", false},
		"other messages":                       {IDsResponseHex, "10", "17", false},
		"a sign is no digit":                   {IDsResponseHex, "-10", "-16", false},
		"far too long for a number, but alike": {IDsBothHex, long('a'), long('a'), true},
	} {
		if got := c.ids.Response(c.response) == c.ids.Receipt(c.receipt); got != c.same {
			t.Errorf("%s: %s: got %q and %q", name, c.ids, c.ids.Response(c.response), c.ids.Receipt(c.receipt))
		}
	}
}

func long(c byte) string {
	b := make([]byte, 200)
	for i := range b {
		b[i] = c
	}
	return string(b)
}

func TestIDsSuggestTheSpellingThatFits(t *testing.T) {
	for _, c := range []struct {
		ids               IDs
		response, receipt string
		want              IDs
		found             bool
	}{
		{IDsAsIs, "25EB3B3D", "636173117", IDsResponseHex, true},
		{IDsAsIs, "636173117", "25eb3b3d", IDsReceiptHex, true},
		{IDsResponseHex, "00AF", "af", IDsAsIs, true},
		{IDsAsIs, "7", "7", IDsAsIs, false},
		{IDsAsIs, "7", "8", IDsAsIs, false},
	} {
		if got, found := c.ids.suggest(c.response, c.receipt); got != c.want || found != c.found {
			t.Errorf("%s of %s and %s: got %s %v, want %s %v", c.ids, c.response, c.receipt, got, found, c.want, c.found)
		}
	}
}

func TestParseIDs(t *testing.T) {
	for i, name := range idsNames {
		if got, err := ParseIDs(name); err != nil || got != IDs(i) || got.String() != name {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	if _, err := ParseIDs("hex"); err == nil || err.Error() != `want as_is, response_hex, receipt_hex, both_hex, got "hex"` {
		t.Errorf("hex: got %v", err)
	}
}
