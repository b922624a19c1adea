package sender

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// wants fails unless the client runs a generation.
func wants(t *testing.T, c *Client, generation string) {
	t.Helper()
	if got := c.Status().Generation.String(); got != generation {
		t.Errorf("got generation %s, want %s", got, generation)
	}
}

func TestATableIsTakenTheMomentItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table = tableText("1-1") })
		var seen []string
		c, _, stop := b.start(t, Options{Class: "otp", Network: "GB", Token: "secret", Changed: func(t *Table) { seen = append(seen, t.Generation.String()) }})
		time.Sleep(45 * time.Second) // in the second wait
		wants(t, c, "1-1")
		b.set("a", func(r *replica) { r.table = tableText("1-2") })
		synctest.Wait()
		wants(t, c, "1-2")
		time.Sleep(10 * time.Minute)
		stop()
		polls := b.all("GET", "/routes")
		if n := len(polls); n < 20 || n > 25 {
			t.Errorf("got %d polls in eleven minutes of waits of 30 s, want about 22", n)
		}
		first, second := polls[0].header, polls[1].header
		if polls[0].path != "/routes?class=otp&network=GB" || first.Get("If-None-Match") != "" || first.Get("Authorization") != "Bearer secret" {
			t.Errorf("the first poll: got %s %v", polls[0].path, first)
		}
		if second.Get("If-None-Match") != `"1-1"` || second.Get("Prefer") != "wait=30" {
			t.Errorf("the second poll: got %v", second)
		}
		if want := []string{"1-1", "1-2"}; !slices.Equal(seen, want) {
			t.Errorf("told of %v, want %v", seen, want)
		}
		if got, want := b.words(), []string{`a {"generation":"1-1","applied":true}`, `a {"generation":"1-2","applied":true}`}; !slices.Equal(got, want) {
			t.Errorf("said %q, want %q", got, want)
		}
		if n := len(b.all("PUT", "/senders/gw-1")); n < 9 || n > 15 {
			t.Errorf("got %d words in eleven minutes, want about one a minute", n)
		}
	})
}

func TestWhateverHappensTheTableStays(t *testing.T) {
	for name, trouble := range map[string]func(*replica){
		"it is away":           func(r *replica) { r.down = true },
		"it is not warm":       func(r *replica) { r.table = "" },
		"it fails":             func(r *replica) { r.status = 500 },
		"it turns us away":     func(r *replica) { r.status = 401 },
		"it sends us away":     func(r *replica) { r.status = 302 },
		"it says gone":         func(r *replica) { r.status = 404 },
		"it went back":         func(r *replica) { r.table = tableText("1-4") },
		"the table is empty":   func(r *replica) { r.table = `{"generation":"1-6","lanes":[]}` },
		"the table is cut off": func(r *replica) { r.table = tableText("1-6")[:40] },
		"it is somebody else":  func(r *replica) { r.table = "<html></html>" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox("a")
				b.set("a", func(r *replica) { r.table = tableText("1-5") })
				c, log, _ := b.start(t, Options{})
				time.Sleep(time.Second)
				before := len(b.all("GET", "/routes"))
				b.set("a", trouble)
				time.Sleep(2 * time.Hour)
				wants(t, c, "1-5")
				if ch, err := c.Pick("otp", "GB", "m-1"); err != nil || ch.Route != "acme" {
					t.Errorf("pick: got %+v, %v", ch, err)
				}
				s := c.Status()
				if s.Err == "" || time.Since(s.Heard) < time.Hour {
					t.Errorf("status: got %+v, want it to say what is wrong", s)
				}
				if n := len(b.all("GET", "/routes")) - before; n > 350 {
					t.Errorf("got %d polls in two hours of trouble, want at most one in about 24 s", n)
				}
				if n := strings.Count(log.String(), "table not refreshed"); n != 1 {
					t.Errorf("got %d lines about it, want 1:\n%s", n, log)
				}
				b.set("a", func(r *replica) { *r = replica{table: tableText("1-6"), waits: true} })
				time.Sleep(time.Minute)
				wants(t, c, "1-6")
				if s := c.Status(); s.Err != "" || s.Refused != "" {
					t.Errorf("afterwards: got %+v", s)
				}
			})
		})
	}
}

func TestARefusedTableIsSaidOnceAndThenEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table = tableText("1-5") })
		c, _, _ := b.start(t, Options{})
		time.Sleep(time.Second)
		b.set("a", func(r *replica) { r.table = tableText("1-4") })
		time.Sleep(10 * time.Minute)
		want := []string{`a {"generation":"1-5","applied":true}`, `a {"generation":"1-4","applied":false,"why":"it is older than 1-5, which is in force here"}`}
		if got := b.words(); !slices.Equal(got, want) {
			t.Errorf("said %q, want %q", got, want)
		}
		if n := len(b.all("PUT", "/")); n < 10 || n > 15 {
			t.Errorf("got %d words in ten minutes, want about one a minute", n)
		}
		if s := c.Status(); s.Refused != "it is older than 1-5, which is in force here" {
			t.Errorf("status: got %+v", s)
		}
		b.set("a", func(r *replica) { r.table = tableText("2-1") })
		time.Sleep(time.Minute)
		wants(t, c, "2-1")
	})
}

// Where the token is bound to another name the table comes all the same, and signalbox knows nothing of this sender.
func TestAWordThatIsRefusedIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table, r.words = tableText("1-5"), 403 })
		c, log, _ := b.start(t, Options{})
		time.Sleep(10 * time.Minute)
		wants(t, c, "1-5")
		lines := func() int { return strings.Count(log.String(), `level=WARN msg="table not confirmed"`) }
		if n := lines(); n != 1 || !strings.Contains(log.String(), "403") {
			t.Errorf("got %d warnings, want one that says 403:\n%s", n, log)
		}
		b.set("a", func(r *replica) { r.words = 0 })
		time.Sleep(2 * time.Minute)
		b.set("a", func(r *replica) { r.words = 401 })
		time.Sleep(2 * time.Minute)
		if n := lines(); n != 2 {
			t.Errorf("got %d warnings, want another one after it had been heard", n)
		}
		b.set("a", func(r *replica) { r.words = 0 })
		time.Sleep(2 * time.Minute)
		b.set("a", func(r *replica) { r.words = 503 })
		time.Sleep(2 * time.Minute)
		if n := lines(); n != 2 {
			t.Errorf("got %d warnings, want none of a server that is not ready", n)
		}
	})
}

func TestWhyIsShortenedByWholeCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"short":                       "short",
		strings.Repeat("a", 1025):     strings.Repeat("a", 1024),
		strings.Repeat("€", 342):      strings.Repeat("€", 341), // 1026 bytes to 1023
		"x\xff\xfey":                  "x?y",
		strings.Repeat("a\xff", 1024): strings.Repeat("a?", 512),
	} {
		got := shortened(text, maxWhy)
		body, err := json.Marshal(&said{Why: got})
		if err != nil {
			t.Fatal(err)
		}
		var heard said
		if err := json.Unmarshal(body, &heard); err != nil || heard.Why != want || len(heard.Why) > maxWhy {
			t.Errorf("%.20q: signalbox hears %d bytes, want %d of the same", text, len(heard.Why), len(want))
		}
	}
}

func TestReplicasStandIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a", "b", "c")
		b.set("b", func(r *replica) { r.table = tableText("1-5") })
		b.set("c", func(r *replica) { r.table = tableText("1-4") })
		b.set("a", func(r *replica) { r.down = true })
		c, _, _ := b.start(t, Options{})
		time.Sleep(time.Minute)
		wants(t, c, "1-5")
		b.set("b", func(r *replica) { r.down = true })
		b.set("c", func(r *replica) { r.table = tableText("1-6") })
		time.Sleep(time.Minute)
		wants(t, c, "1-6")
		words := b.words()
		if last := words[len(words)-1]; last != `c {"generation":"1-6","applied":true}` {
			t.Errorf("said last %q, want it to the replica that gave the table", last)
		}
	})
}

func TestAServerThatDoesNotWaitIsLeftInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table, r.waits = tableText("1-1"), false })
		b.start(t, Options{Interval: 10 * time.Second})
		time.Sleep(10 * time.Minute)
		polls := b.all("GET", "/routes")
		if n := len(polls); n < 55 || n > 70 {
			t.Errorf("got %d polls in ten minutes, want one in about ten seconds", n)
		}
		var gaps []time.Duration
		for i := 3; i < len(polls); i++ {
			gaps = append(gaps, polls[i].at.Sub(polls[i-1].at))
		}
		if least, most := slices.Min(gaps), slices.Max(gaps); least < 8*time.Second || most > 12*time.Second || most-least < time.Second {
			t.Errorf("got gaps of %s to %s, want them spread over 8s to 12s", least, most)
		}
	})
}

func TestBackoffDoublesAndHearsTheServer(t *testing.T) {
	b := backoff{most: time.Second}
	var got []time.Duration
	for range 6 {
		got = append(got, b.next(0))
	}
	if want := []time.Duration{100e6, 200e6, 400e6, 800e6, 1e9, 1e9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	b.reset()
	if d := b.next(500 * time.Millisecond); d != 500*time.Millisecond {
		t.Errorf("the server asks for half a second: got %s", d)
	}
	if d := b.next(time.Hour); d != time.Second {
		t.Errorf("the server asks for an hour: got %s, want no more than 1s", d)
	}
}

func TestTheTableOutlivesTheProcess(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := tableText("1-5")
	signature := "ed25519;keyid=" + keyID(public) + ";sig=" + base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(text)))
	file := filepath.Join(t.TempDir(), "table.txt")
	o := Options{File: file, Keys: []ed25519.PublicKey{public}}
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table, r.sign = text, signature })
		c, _, stop := b.start(t, o)
		time.Sleep(time.Second)
		wants(t, c, "1-5")
		stop()
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.down = true })
		c, _, _ := b.start(t, o)
		wants(t, c, "1-5") // before it has run at all
		time.Sleep(time.Hour)
		wants(t, c, "1-5")
		b.set("a", func(r *replica) { r.down, r.table, r.sign = false, text, signature })
		time.Sleep(time.Minute)
		if got := b.words(); !slices.Contains(got, `a {"generation":"1-5","applied":true}`) {
			t.Errorf("said %q, want what it runs", got)
		}
	})
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data string
		say  string
	}{
		"cut off":           {string(good[:len(good)-1]), "it is damaged"},
		"a bit has changed": {strings.Replace(string(good), "10000", "10001", 1), "it is damaged"},
		"something else":    {"{}", "want a table that a sender kept"},
		"empty":             {"", "want a table that a sender kept"},
		"unsigned":          {string(unsigned(good)), "it is not signed"},
	} {
		if err := os.WriteFile(file, []byte(tc.data), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			b := newBox("a")
			b.set("a", func(r *replica) { r.table, r.sign, r.down = text, signature, true })
			c, log, stop := b.start(t, o)
			if c.Table() != nil || !strings.Contains(log.String(), "kept table not used") || !strings.Contains(log.String(), tc.say) {
				t.Errorf("%s: got %v, said %s", name, c.Table(), log)
			}
			b.set("a", func(r *replica) { r.down = false })
			time.Sleep(time.Minute)
			wants(t, c, "1-5")
			stop()
		})
		if again, err := os.ReadFile(file); err != nil || string(again) != string(good) {
			t.Errorf("%s: the file is not mended (%v)", name, err)
		}
	}
}

// unsigned is a kept table without its signature.
func unsigned(kept []byte) []byte {
	line, rest, _ := strings.Cut(string(kept), "\n")
	words := strings.Fields(line)
	return []byte(words[0] + " " + words[1] + " -\n" + rest)
}

func TestAFolderThatIsNotThereStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table = tableText("1-5") })
		c, log, _ := b.start(t, Options{File: "/nowhere/table.txt", SpoolFile: "/nowhere/events"})
		time.Sleep(time.Minute)
		wants(t, c, "1-5")
		if !strings.Contains(log.String(), "table not kept") || strings.Count(log.String(), "events not kept") != 1 {
			t.Errorf("said %s", log)
		}
	})
}

func TestATokenFileIsReadEachTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table = tableText("1-5") })
		c, _, _ := b.start(t, Options{TokenFile: file})
		time.Sleep(time.Minute)
		if n := len(b.all("GET", "/")); n != 0 || !strings.Contains(c.Status().Err, "token") {
			t.Errorf("without a token: got %d polls and %+v, want none", n, c.Status())
		}
		for _, token := range []string{"first", "second"} {
			if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			polls := b.all("GET", "/routes")
			if got := polls[len(polls)-1].header.Get("Authorization"); got != "Bearer "+token {
				t.Errorf("got %q, want the token %s", got, token)
			}
		}
	})
}

func TestATableThatCannotBePutIntoEffectIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.table = tableText("1-1") })
		var tried []string
		var broken atomic.Bool
		c, _, stop := b.start(t, Options{Apply: func(_ context.Context, next *Table) error {
			tried = append(tried, next.Generation.String())
			if broken.Load() {
				return errors.New("bearerbox does not answer")
			}
			return nil
		}})
		time.Sleep(time.Second)
		wants(t, c, "1-1")
		broken.Store(true)
		b.set("a", func(r *replica) { r.table = tableText("1-2") })
		time.Sleep(time.Minute)
		wants(t, c, "1-1")
		broken.Store(false)
		time.Sleep(time.Minute)
		wants(t, c, "1-2")
		stop()
		if n := len(tried); n < 4 || n > 20 || tried[0] != "1-1" {
			t.Errorf("tried %v, want it again and again, with pauses", tried)
		}
		if got, want := b.words(), []string{`a {"generation":"1-1","applied":true}`, `a {"generation":"1-2","applied":false,"why":"bearerbox does not answer"}`, `a {"generation":"1-2","applied":true}`}; !slices.Equal(got, want) {
			t.Errorf("said %q, want %q", got, want)
		}
	})
}
