package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func decodeOne(t *testing.T, line string) (route.Observation, error) {
	t.Helper()
	var o route.Observation
	n, err := NewDecoder(strings.NewReader(line), DecoderOptions{}).Next(&o)
	if n != 1 {
		t.Fatalf("got line %d, want 1", n)
	}
	return o, err
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestDecoderReadsEveryType(t *testing.T) {
	ten := at("2026-11-23T10:00:00.12Z")
	for name, c := range map[string]struct {
		line string
		want route.Observation
	}{
		"submit": {
			`{"type":"submit","time":"2026-11-23T10:00:00.120Z","id":"m-1","route":"acme-uk","class":"otp","network":"234-15","result":"accepted","latency":0.041,"generation":"1-42","source":"gw-1"}`,
			route.Observation{Kind: route.KindSubmit, Time: ten, Message: "m-1", Route: "acme-uk", Class: "otp", Network: "234-15", Latency: 41 * time.Millisecond, Source: "gw-1", Used: route.Generation{Epoch: 1, Number: 42}},
		},
		"a submit without a result was accepted": {
			`{"type":"submit","time":"2026-11-23T10:00:00.12Z","id":"m-1","route":"a","class":"otp","network":"GB"}`,
			route.Observation{Kind: route.KindSubmit, Time: ten, Message: "m-1", Route: "a", Class: "otp", Network: "GB"},
		},
		"refused submit, fields in another order": {
			`{"network":"*","code":"0x58","class":"otp","result":"refused","route":"a","id":"m-2","time":1795428000.5,"type":"submit"}`,
			route.Observation{Kind: route.KindSubmit, Result: route.Refused, Fault: route.FaultCapacity, Code: "0x58", Time: at("2026-11-23T10:00:00.5Z"), Message: "m-2", Route: "a", Class: "otp", Network: "*"},
		},
		"timed-out submit": {
			`{"type":"submit","time":1795428000,"id":"m","route":"a","class":"c","network":"*","result":"timeout","latency":1e-5}`,
			route.Observation{Kind: route.KindSubmit, Result: route.TimedOut, Time: at("2026-11-23T10:00:00Z"), Message: "m", Route: "a", Class: "c", Network: "*", Latency: 10 * time.Microsecond},
		},
		"receipt by id": {
			`{"type":"receipt","time":"2026-11-23T12:00:00.12+02:00","id":"m-1","route":"a","status":"delivered"}`,
			route.Observation{Kind: route.KindReceipt, Status: route.StatusDelivered, Time: ten, Message: "m-1", Route: "a"},
		},
		"receipt with all": {
			`{"type":"receipt","time":1795428004.1,"id":"m-9","route":"a","class":"otp","network":"234-15","submit_time":1795428001.0,"status":"failed","code":"EC-11"}`,
			route.Observation{Kind: route.KindReceipt, Status: route.StatusFailed, Time: at("2026-11-23T10:00:04.1Z"), Submitted: at("2026-11-23T10:00:01Z"), Message: "m-9", Route: "a", Class: "otp", Network: "234-15", Code: "EC-11"},
		},
		"null is absent, unknown fields are skipped, a number is a code": {
			`{"type":"receipt","time":1795428004,"class":null,"text":{"a":[1,{"b":"\u00e9\n"}]},"code":30003,"id":"m","route":"a","status":"failed","":0}`,
			route.Observation{Kind: route.KindReceipt, Status: route.StatusFailed, Time: at("2026-11-23T10:00:04Z"), Message: "m", Route: "a", Code: "30003"},
		},
		"the last of equal names wins": {
			`{"type":"probe","type":"conversion","time":1,"time":1795428011,"id":"m-1","route":"b","route":"a"}`,
			route.Observation{Kind: route.KindConversion, Time: at("2026-11-23T10:00:11Z"), Message: "m-1", Route: "a"},
		},
		"escapes in names and texts": {
			`{"\u0074ype":"conver\u0073ion","time":"2026-11-23T10:00:00\u005a","id":"\ud83d\ude00\/\t","route":"a"}`,
			route.Observation{Kind: route.KindConversion, Time: at("2026-11-23T10:00:00Z"), Message: "😀/\t", Route: "a"},
		},
		"probe": {
			`{"type":"probe","time":1795428011.0,"route":"a","probe":"bind","ok":false,"code":"0x0d","latency":1.2}`,
			route.Observation{Kind: route.KindProbe, Time: at("2026-11-23T10:00:11Z"), Route: "a", Probe: "bind", Code: "0x0d", Latency: 1200 * time.Millisecond},
		},
		"message probe": {
			`{"type":"probe","time":1795428071,"route":"a","network":"234-15","probe":"handset","ok":true,"sent":1795428064.8}`,
			route.Observation{Kind: route.KindProbe, OK: true, Time: at("2026-11-23T10:01:11Z"), Route: "a", Network: "234-15", Probe: "handset", Sent: at("2026-11-23T10:01:04.8Z")},
		},
		"heartbeat": {
			` { "type" : "heartbeat" , "time" : 1795428011 , "source" : "gw-1" , "routes" : [ "a" , "b" ] } `,
			route.Observation{Kind: route.KindHeartbeat, Time: at("2026-11-23T10:00:11Z"), Source: "gw-1", Routes: []route.ID{"a", "b"}},
		},
		"baseline": {
			`{"type":"baseline","time":1795428011,"route":"a","class":"otp","network":"GB","delivered":0.94,"failed":0.04,"ages":[1,5.5],"cdf":[0.5,1e0],"conversion_cdf":null,"messages":1000}`,
			route.Observation{Kind: route.KindBaseline, Time: at("2026-11-23T10:00:11Z"), Route: "a", Class: "otp", Network: "GB",
				Baseline: &route.Baseline{Delivered: 0.94, Failed: 0.04, Ages: []float64{1, 5.5}, CDF: []float64{0.5, 1}, Messages: 1000}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeOne(t, c.line)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestDecoderRefuses(t *testing.T) {
	const submit = `"type":"submit","time":1795428000,"id":"m","route":"a","class":"otp","network":"GB"`
	const receipt = `"type":"receipt","time":1795428000,"id":"m","route":"a","status":"delivered"`
	const heartbeat = `"type":"heartbeat","time":1795428000,"source":"gw-1"`
	for line, why := range map[string]string{
		`x`:                                 `want a JSON object, got 'x' at byte 1`,
		`[]`:                                `want a JSON object, got '[' at byte 1`,
		`{`:                                 `want a name in quotes, got the end of the line`,
		`{"a":1,}`:                          `want a name in quotes, got '}' at byte 8`,
		`{"a" 1}`:                           `want a colon, got '1' at byte 6`,
		`{"a":}`:                            `want a value, got '}' at byte 6`,
		`{"a":01}`:                          `want a number, got '0' at byte 6`,
		`{"a":1.}`:                          `want a number, got '1' at byte 6`,
		`{"a":-}`:                           `want a number, got '-' at byte 6`,
		`{"a":1e}`:                          `want a number, got '1' at byte 6`,
		`{"a":+1}`:                          `want a value, got '+' at byte 6`,
		`{"a":NaN}`:                         `want a value, got 'N' at byte 6`,
		`{"a":nul}`:                         `want a value, got 'n' at byte 6`,
		`{"a":"b`:                           `want a closing quote, got the end of the line`,
		`{"a":"\x"}`:                        `want an escape of JSON, got '\\' at byte 7`,
		`{"a":"\u12g4"}`:                    `want an escape of JSON, got '\\' at byte 7`,
		"{\"a\":\"\t\"}":                    `want a text without control characters, got '\t' at byte 7`,
		`{"a":[1 2]}`:                       `want a comma or ], got '2' at byte 9`,
		`{"a":{"b":1,2}}`:                   `want a name in quotes, got '2' at byte 13`,
		`{"a":1}{"a":1}`:                    `want the end of the line, got '{' at byte 8`,
		"{\"a\":\"\xff\"}":                  `want UTF-8, got other bytes`,
		`{"a":` + nested(16):                `want at most 16 levels of nesting, got '[' at byte 21`,
		`{}`:                                `type: want submit, receipt, conversion, probe, heartbeat or baseline, got nothing`,
		`{"type":"sumbit"}`:                 `type: want submit, receipt, conversion, probe, heartbeat or baseline, got "sumbit"`,
		`{"type":1}`:                        `type: want submit, receipt, conversion, probe, heartbeat or baseline, got 1`,
		`{"type":"submit"}`:                 `time: want a time of RFC 3339 or Unix seconds, got nothing`,
		with(submit, `time`, `"yesterday"`): `time: want a time of RFC 3339 or Unix seconds, got "yesterday"`,
		with(submit, `time`, `"2026-02-29T10:00:00Z"`):                                `time: want a time of RFC 3339 or Unix seconds, got "2026-02-29T10:00:00Z"`,
		with(submit, `time`, `"1999-12-31T23:59:59Z"`):                                `time: want a time between the years 2000 and 2100, got "1999-12-31T23:59:59Z"`,
		with(submit, `time`, `4102444800`):                                            `time: want a time between the years 2000 and 2100, got 4102444800`,
		with(submit, `time`, `1795428000500`):                                         `time: want a time between the years 2000 and 2100, got 1795428000500 (milliseconds? seconds are wanted)`,
		with(submit, `time`, `1e999`):                                                 `time: want a time between the years 2000 and 2100, got 1e999`,
		with(submit, `time`, `-1795428000`):                                           `time: want a time between the years 2000 and 2100, got -1795428000`,
		with(submit, `time`, `true`):                                                  `time: want a time of RFC 3339 or Unix seconds, got true`,
		with(submit, `id`, `""`):                                                      `id: want a message id of 1 to 256 bytes, got ""`,
		with(submit, `id`, `7`):                                                       `id: want a message id of 1 to 256 bytes, got 7`,
		with(submit, `id`, quoted(257)):                                               `id: want a message id of 1 to 256 bytes, got "` + strings.Repeat("x", maxShown) + `…"`,
		with(submit, `id`, `"\ud800"`):                                                `id: want a message id of 1 to 256 bytes, got half a surrogate pair`,
		with(submit, `route`, `""`):                                                   `route: want a route id, got ""`,
		with(submit, `route`, `null`):                                                 `route: want a route id, got nothing`,
		with(submit, `route`, `"-a"`):                                                 `route: want a route id, got "-a"`,
		with(submit, `route`, `"a b"`):                                                `route: want a route id, got "a b"`,
		with(submit, `route`, quoted(65)):                                             `route: want a route id, got "` + strings.Repeat("x", maxShown) + `…"`,
		with(submit, `route`, `["a"]`):                                                `route: want a route id, got a list`,
		with(submit, `class`, `"*"`):                                                  `class: want a class such as otp, got "*"`,
		with(submit, `network`, `"234"`):                                              `network: want a network such as "234-15", a country such as "GB", or "*", got "234"`,
		with(submit, `network`, `{}`):                                                 `network: want a network such as "234-15", a country such as "GB", or "*", got an object`,
		`{` + submit + `,"result":"ok"}`:                                              `result: want accepted, refused or timeout, got "ok"`,
		`{` + submit + `,"code":` + quoted(33) + `}`:                                  `code: want a code of at most 32 bytes, got "` + strings.Repeat("x", 33) + `"`,
		`{` + submit + `,"code":"a\nb"}`:                                              `code: want a code of at most 32 bytes, got "a\nb"`,
		`{` + submit + `,"latency":-0.1}`:                                             `latency: want seconds from 0 to 86400, got -0.1`,
		`{` + submit + `,"latency":86401}`:                                            `latency: want seconds from 0 to 86400, got 86401`,
		`{` + submit + `,"latency":"fast"}`:                                           `latency: want seconds from 0 to 86400, got "fast"`,
		`{` + submit + `,"source":"a/b"}`:                                             `source: want the name of a source such as gw-1, got "a/b"`,
		with(receipt, `status`, `"DELIVRD"`):                                          `status: want delivered, failed, expired, rejected, accepted, enroute or unknown, got "DELIVRD"`,
		with(receipt, `status`, `null`):                                               `status: want delivered, failed, expired, rejected, accepted, enroute or unknown, got nothing`,
		`{` + receipt + `,"class":"otp"}`:                                             `network: want class, network and submit_time together, or none of them, got nothing`,
		`{` + receipt + `,"submit_time":1795428000}`:                                  `class: want class, network and submit_time together, or none of them, got nothing`,
		`{"type":"probe","time":1795428000,"route":"a","ok":true}`:                    `probe: want a kind of probe such as bind, got nothing`,
		`{"type":"probe","time":1795428000,"route":"a","probe":"bind"}`:               `ok: want true or false, got nothing`,
		`{"type":"probe","time":1795428000,"route":"a","probe":"bind","ok":1}`:        `ok: want true or false, got 1`,
		`{"type":"heartbeat","time":1795428000,"routes":[]}`:                          `source: want the name of a source such as gw-1, got nothing`,
		`{` + heartbeat + `}`:                                                         `routes: want a list of route ids, got nothing`,
		`{` + heartbeat + `,"routes":"a"}`:                                            `routes: want a list of route ids, got "a"`,
		`{` + heartbeat + `,"routes":["a",""]}`:                                       `routes[1]: want a route id, got ""`,
		`{` + heartbeat + `,"routes":["a",["b"]]}`:                                    `routes[1]: want a route id, got a list`,
		`{` + heartbeat + `,"routes":[` + list(10_001):                                `routes: want at most 10000 elements, got more`,
		`{"type":"baseline","time":1795428000,"route":"a","class":"c","network":"*"}`: `delivered: want a share above 0, got 0`,
		`{"type":"baseline","time":1795428000,"route":"a","class":"c","network":"*","delivered":"1"}`:                        `delivered: want a number, got "1"`,
		`{"type":"baseline","time":1795428000,"route":"a","class":"c","network":"*","delivered":1e999}`:                      `delivered: want a number, got 1e999`,
		`{"type":"baseline","time":1795428000,"route":"a","class":"c","network":"*","delivered":1,"ages":[1,"2"]}`:           `ages[1]: want a number, got "2"`,
		`{"type":"baseline","time":1795428000,"route":"a","class":"c","network":"*","delivered":1,"ages":[2,1],"cdf":[0,1]}`: `ages[1]: want more than 2 seconds, got 1`,
	} {
		_, err := decodeOne(t, line)
		var r *Refusal
		if !errors.As(err, &r) {
			t.Errorf("%.80s: got error %v, want a refusal", line, err)
			continue
		}
		if r.Why != why || r.Line != 1 {
			t.Errorf("%.80s:\ngot  %s\nwant %s", line, r.Why, why)
		}
	}
}

// with replaces the value of a field in the fields of a line, by naming it again.
func with(fields, name, value string) string {
	return fmt.Sprintf(`{%s,%q:%s}`, fields, name, value)
}

func quoted(n int) string { return `"` + strings.Repeat("x", n) + `"` }

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }

func list(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") + "]}" }

func TestDecoderAcceptsUpToTheBounds(t *testing.T) {
	const conversion = `"type":"conversion","time":1795428000,"route":"a"`
	for name, line := range map[string]string{
		"16 levels":      `{` + conversion + `,"id":"m","x":` + nested(15),
		"id":             `{` + conversion + `,"id":` + quoted(256) + `}`,
		"route":          `{` + conversion + `,"id":"m","route":` + quoted(64) + `}`,
		"routes":         `{"type":"heartbeat","time":1795428000,"source":"s","routes":[` + list(10_000),
		"first moment":   `{` + conversion + `,"id":"m","time":946684800}`,
		"last moment":    `{` + conversion + `,"id":"m","time":"2099-12-31T23:59:59.999999999999Z"}`,
		"line of 64 KiB": fill(`{`+conversion+`,"id":"m","x":"`, `"}`, maxLine),
	} {
		if _, err := decodeOne(t, line); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fill(head, tail string, size int) string {
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

func TestDecoderGoesOnAfterRefusals(t *testing.T) {
	const good = `{"type":"conversion","time":1795428000,"route":"a","id":"m"}`
	text := strings.Join([]string{
		good + "\r", "", "  \t", fill(good, "", maxLine+1), good, fill("", "", 1<<20), "x", good, fill("", "", maxLine+2),
	}, "\n")
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "by halves": iotest.HalfReader(strings.NewReader(text))} {
		d := NewDecoder(r, DecoderOptions{})
		var o route.Observation
		var got []string
		for {
			line, err := d.Next(&o)
			if err == io.EOF {
				break
			}
			word := "ok"
			var refusal *Refusal
			if errors.As(err, &refusal) {
				word = string(refusal.Reason)
				if refusal.Line != line {
					t.Errorf("%s: got line %d in the refusal, want %d", name, refusal.Line, line)
				}
			}
			got = append(got, fmt.Sprintf("%d:%s", line, word))
		}
		want := "1:ok 4:length 5:ok 6:length 7:syntax 8:ok 9:length"
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %s, want %s", name, s, want)
		}
	}
}

func TestDecoderReportsReadErrors(t *testing.T) {
	broken := errors.New("connection reset")
	good := `{"type":"conversion","time":1795428000,"route":"a","id":"m"}`
	d := NewDecoder(io.MultiReader(strings.NewReader(good+"\n"+good), iotest.ErrReader(broken)), DecoderOptions{})
	var o route.Observation
	if _, err := d.Next(&o); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(&o); err != broken {
		t.Errorf("got %v, want %v: half a line is not one", err, broken)
	}
}

func TestDecoderKeepsNoPhoneNumbers(t *testing.T) {
	line := `{"type":"receipt","time":1795428000,"route":"a","id":"+447700900123","status":"failed","code":"+447700900123","to":"+447700900123","text":"your code is 1234"}`
	o, err := decodeOne(t, line)
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%+v", o); strings.Contains(s, "7700") || strings.Contains(s, "code is") {
		t.Errorf("got %s, want neither number nor text", s)
	}
	again, _ := decodeOne(t, line)
	if o.Message == "" || o.Message != again.Message {
		t.Errorf("got ids %q and %q, want the same hash", o.Message, again.Message)
	}
}

func TestDecoderSourceOfTheTokenWins(t *testing.T) {
	for _, line := range []string{
		`{"type":"heartbeat","time":1795428011,"source":"gw-9","routes":["a"]}`,
		`{"type":"heartbeat","time":1795428011,"routes":["a"]}`,
	} {
		var o route.Observation
		if _, err := NewDecoder(strings.NewReader(line), DecoderOptions{Source: "gw-1"}).Next(&o); err != nil || o.Source != "gw-1" {
			t.Errorf("got source %q, error %v, want gw-1", o.Source, err)
		}
	}
}

func TestNamesOutliveTheLine(t *testing.T) {
	const lines = `{"type":"submit","time":1795428000,"id":"m1","route":"a1","class":"c1","network":"GB"}
{"type":"submit","time":1795428000,"id":"m2","route":"b2","class":"d2","network":"FR"}`
	d := NewDecoder(strings.NewReader(lines), DecoderOptions{})
	var first, second route.Observation
	for _, o := range []*route.Observation{&first, &second} {
		if _, err := d.Next(o); err != nil {
			t.Fatal(err)
		}
	}
	if k := first.Key(); k != (route.Key{Route: "a1", Class: "c1", Network: "GB"}) {
		t.Errorf("got key %v after the next line, want the first line's", k)
	}
}

func TestNamesAreBounded(t *testing.T) {
	var n names
	for i := range 3 * maxNames {
		if s := fmt.Sprint("route-", i); n.intern(fieldRoute, []byte(s)) != s {
			t.Fatalf("got another name than %s", s)
		}
		if len(n.seen) > maxNames {
			t.Fatalf("got %d names, want at most %d", len(n.seen), maxNames)
		}
	}
}

func TestFaultOf(t *testing.T) {
	for code, want := range map[string]route.Fault{
		"0x58": route.FaultCapacity, "0X00000058": route.FaultCapacity, "88": route.FaultCapacity, "ESME_RTHROTTLED": route.FaultCapacity,
		"0x14": route.FaultCapacity, "20": route.FaultCapacity, "ESME_RMSGQFUL": route.FaultCapacity,
		"0x0a": route.FaultMessage, "0x0B": route.FaultMessage, "ESME_RINVDSTADR": route.FaultMessage, "0x61": route.FaultMessage, "98": route.FaultMessage,
		"0x0e": route.FaultConfig, "15": route.FaultConfig, "0x53": route.FaultConfig, "ESME_RINVSYSTYP": route.FaultConfig,
		"": route.FaultRoute, "0x": route.FaultRoute, "0x08": route.FaultRoute, "0x45": route.FaultRoute, "58": route.FaultRoute,
		"EC-11": route.FaultRoute, "ESME_RSYSERR": route.FaultRoute, "0x100000058": route.FaultRoute, "99999999999999999999999999999999": route.FaultRoute,
	} {
		if got := faultOf(code); got != want {
			t.Errorf("%q: got fault %d, want %d", code, got, want)
		}
	}
}

func TestRFC3339AgreesWithTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sec := rapid.Int64Range(firstSecond, lastSecond).Draw(t, "sec")
		nsec := rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")
		east := rapid.IntRange(-14*60, 14*60).Draw(t, "east")
		want := time.Unix(sec, nsec).In(time.FixedZone("", east*60))
		gotSec, gotNsec, ok := rfc3339([]byte(want.Format(time.RFC3339Nano)))
		if !ok || gotSec != sec || gotNsec != nsec {
			t.Fatalf("%s: got %d.%09d %v, want %d.%09d", want.Format(time.RFC3339Nano), gotSec, gotNsec, ok, sec, nsec)
		}
	})
}

func TestRFC3339RefusesWhatTheStandardLibraryRefuses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte("2026-11-23T10:00:00.5+02:00")
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(text)-1).Draw(t, "i")
			text[i] = rapid.SampledFrom([]byte("0123456789-+:.TZ ")).Draw(t, "c")
		}
		want, err := time.Parse(time.RFC3339Nano, string(text))
		sec, nsec, ok := rfc3339(text)
		if ok && (err != nil || want.Unix() != sec || int64(want.Nanosecond()) != nsec) {
			t.Fatalf("%s: got %d.%09d, want %v %v", text, sec, nsec, want, err)
		}
	})
}

func TestSecondsAreExact(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1795428000": 1795428000e9, "1795428000.5": 1795428000_500000000, "1795428000.123456789": 1795428000_123456789,
		"1795428000.1234567899": 1795428000_123456789, "0.041": 41e6, "-0.5": -5e8, "1.5e3": 1500e9, "12E-1": 12e8,
	} {
		sec, nsec, ok := seconds([]byte(text))
		if got := sec*1e9 + nsec; !ok || got != want {
			t.Errorf("%s: got %d %v, want %d", text, got, ok, want)
		}
	}
}

// Every observation that keeps the bounds is read, whatever encoder wrote it.
func TestDecoderReadsWhatEncodingJSONWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`)
		when := rapid.Int64Range(firstSecond*1e6, lastSecond*1e6).Draw(t, "time")
		line := map[string]any{
			"type": "receipt", "route": name.Draw(t, "route"), "status": rapid.SampledFrom([]string{"delivered", "enroute"}).Draw(t, "status"),
			"id":   rapid.StringN(1, 64, 256).Draw(t, "id"),
			"time": json.Number(fmt.Sprintf("%d.%06d", when/1e6, when%1e6)),
			rapid.StringMatching(`x.{0,9}`).Draw(t, "unknown"): rapid.String().Draw(t, "value"),
		}
		b, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		var o route.Observation
		if _, err := NewDecoder(strings.NewReader(string(b)), DecoderOptions{}).Next(&o); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		wantID := strings.ToValidUTF8(line["id"].(string), "\ufffd")
		if o.Message != wantID && !isPhone([]byte(wantID)) || string(o.Route) != line["route"] || o.Time.UnixMicro() != when {
			t.Fatalf("%s: got %+v", b, o)
		}
	})
}
