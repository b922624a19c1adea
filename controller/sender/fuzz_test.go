package sender

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
)

// FuzzAnswer: whatever a server answers, a table that is taken serves every key, and one that is not changes nothing.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(tableText("1-43")), "", "m-1")
	f.Add([]byte(tableText("1-43")), "ed25519;keyid=0000000000000000;sig=AAAA, ed25519;sig", "m-1")
	f.Add([]byte(`{"generation":"1-43","lanes":[{"class":"otp","network":"*","retry_after":"1d","routes":[{"route":"a","share":10000}]},{}]}`), ";", "")
	f.Add([]byte(`{"generation":"18446744073709551615-0","lanes":[null]}`), ",", "ключ")
	f.Fuzz(func(t *testing.T, body []byte, signature, key string) {
		table, err := ReadTable(body)
		if err == nil {
			for i := range table.Lanes {
				l := &table.Lanes[i]
				if ch, err := table.Pick(l.Class, l.Network, key); (err != nil || ch.Route == "") && key != "" && l.Network != "" {
					t.Errorf("lane %s/%s: got %+v (%v), want a route", l.Class, l.Network, ch, err)
				}
				for _, slot := range []int{0, fullShare - 1} {
					if e := l.Routes[l.at(slot)]; e.Share == 0 {
						t.Errorf("slot %d falls to %s, which has no share", slot, e.Route)
					}
				}
			}
		}
		key0 := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
		if verify([]ed25519.PublicKey{key0}, signature, append([]byte("not "), body...)) == nil {
			t.Errorf("%q is taken for a signature", signature)
		}
	})
}

// FuzzKept: whatever a file holds, only what was kept whole is read.
func FuzzKept(f *testing.F) {
	plain := []byte(tableText("1-43"))
	f.Add(fmt.Appendf(nil, "%s%x -\n%s", fileMark, sha256.Sum256(plain), plain))
	f.Add([]byte("signalbox-table  \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := readKept(data)
		if err == nil && len(a.plain) >= len(data) {
			t.Errorf("got %q of %q, want what follows the first line", a.plain, data)
		}
	})
}
