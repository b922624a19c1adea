package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// serve answers with a body, whatever is asked, and notes the query.
func serve(t testing.TB, status int, body func() string) (url string, query *string) {
	t.Helper()
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		w.WriteHeader(status)
		fmt.Fprint(w, body())
	}))
	t.Cleanup(s.Close)
	return s.URL, &asked
}

func fixed(s string) func() string { return func() string { return s } }

// told is what probes say in short: route, kind, and its code with ! where it failed.
func told(observations []route.Observation) string {
	var words []string
	for _, o := range observations {
		w := string(o.Route) + " " + o.Probe
		if !o.OK {
			w += "! " + o.Code
		}
		words = append(words, strings.TrimSpace(w))
	}
	return strings.Join(words, ", ")
}

func options(url string) Options {
	return Options{Name: "gw-1", URL: url, Routes: map[string]route.ID{"smsc-7": "acme"}, Now: func() time.Time { return noon },
		Known: func(id route.ID) bool { return id == "acme" || id == "bolt" || id == "core" }}
}

// status is a status.xml as bearerbox 1.4.5 writes it.
func status(links ...string) string {
	text := `<?xml version="1.0"?><gateway><version>Kannel bearerbox version 1.4.5</version><status>running, uptime 0d 0h 1m 8s</status><smscs><count>3</count>`
	for _, l := range links {
		id, rest, _ := strings.Cut(l, "=")
		state, queued, _ := strings.Cut(rest, ",")
		text += "<smsc>\n<name>SMPP:127.0.0.1:2810/2810:k:</name><admin-id>" + id + "</admin-id><id>" + id + "</id><status>" + state + "</status><failed>0</failed><queued>" + queued +
			"</queued><sms><received>0</received><sent>3</sent><inbound>0.00,0.00,0.00</inbound><outbound>0.10,0.01,0.01</outbound></sms><dlr><received>6</received><sent>0</sent></dlr></smsc>"
	}
	return text + "</smscs></gateway>"
}

func TestKannelTellsOfItsLinks(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want string
		err  string
	}{
		"online":               {body: status("smsc-7=online 68s,15"), want: "acme bind, acme queue"},
		"a long queue":         {body: status("bolt=online 5s,1001"), want: "bolt bind, bolt queue!"},
		"re-connecting":        {body: status("bolt=re-connecting,2", "core=dead,0"), want: "bolt bind! re-connecting, bolt queue, core bind! dead, core queue"},
		"two links of a route": {body: status("bolt=online 1s,0", "bolt=dead,0"), want: "bolt bind, bolt queue"},
		"a link of nobody":     {body: status("other=online 1s,0"), want: ""},
		"a status of nothing":  {body: status("bolt=,0"), want: ""},
		"no links":             {body: status(), want: ""},
		"a wrong password":     {body: "Denied", err: "kannel gw-1: the password is refused"},
		"no XML":               {body: "<html>", err: "want status.xml"},
		"a queue of no number": {body: status("bolt=online 1s,many"), err: "want status.xml"},
	} {
		url, query := serve(t, 200, fixed(c.body))
		o := options(url)
		o.Secret = "sta"
		k, err := NewKannel(o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Collect(t.Context())
		if told(got) != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "password=")) {
			t.Errorf("%s: got %q, %v; want %q and %q", name, told(got), err, c.want, c.err)
		}
		if *query != "password=sta" {
			t.Errorf("%s: asked with %q", name, *query)
		}
		for _, o := range got {
			if o.Source != "kannel.gw-1" || !o.Time.Equal(noon) || o.Kind != route.KindProbe {
				t.Errorf("%s: got %+v", name, o)
			}
		}
	}
}

// metrics is an exposition as Jasmin's documentation describes it.
func metrics(lines ...string) string {
	return "# TYPE smppc_bound_count counter\n# HELP smppc_bound_count Number of binds.\n" + strings.Join(lines, "\n") + "\n"
}

func TestJasminTellsOfItsConnectors(t *testing.T) {
	bodies := []struct{ body, want string }{
		{metrics(`smppc_bound_count{cid="smsc-7"} 1`, `smppc_bound_count{cid="bolt"} 3`, `smppc_disconnected_count{cid="bolt"} 3`, `smppc_throttling_error_count{cid="smsc-7"} 5`), "bolt bind! disconnected, acme bind"},
		{metrics(`smppc_bound_count{cid="smsc-7"} 1`, `smppc_throttling_error_count{cid="smsc-7"} 9`), "acme bind, acme throttle!"},
		{metrics(`smppc_bound_count{cid="smsc-7"} 1`, `smppc_throttling_error_count{cid="smsc-7"} 9`), "acme bind, acme throttle"},
		{metrics(`smppc_bound_count{cid="smsc-7"} 1`, `smppc_throttling_error_count{cid="smsc-7"} 0`), "acme bind, acme throttle"}, // it was restarted
		{metrics(`smppc_bound_count{cid="smsc-7"} 1`), "acme bind"},
	}
	n := 0
	url, _ := serve(t, 200, func() string { return bodies[n].body })
	j, err := NewJasmin(options(url))
	if err != nil {
		t.Fatal(err)
	}
	for n = range bodies {
		if got, err := j.Collect(t.Context()); err != nil || told(got) != bodies[n].want {
			t.Errorf("%d: got %q, %v, want %q", n, told(got), err, bodies[n].want)
		}
	}
}

func TestGatewaysThatCannotBeRead(t *testing.T) {
	gone, _ := serve(t, 503, fixed(""))
	other, _ := serve(t, 200, fixed("up 1\n"))
	broken, _ := serve(t, 200, fixed("up{ 1\n"))
	for _, c := range []struct{ url, want string }{{gone, "503"}, {other, "smppc_bound_count"}, {broken, "text format"}, {"http://127.0.0.1:1", "connection refused"}} {
		j, err := NewJasmin(options(c.url))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := j.Collect(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || len(got) != 0 {
			t.Errorf("got %q, %v, want %s", told(got), err, c.want)
		}
	}
	for _, o := range []Options{{}, {Name: "x", URL: "status.xml"}, {URL: "http://x"}} {
		if _, err := NewKannel(o); err == nil {
			t.Errorf("%+v: got no error", o)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(status("bolt=online 1s,0")))
	f.Add([]byte("Denied"))
	f.Add([]byte("<gateway><smscs><smsc><id>bolt</id><status>\xff</status></smsc></smscs></gateway>"))
	k, err := NewKannel(options("http://x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		observations, err := k.read(body)
		for _, o := range observations {
			if err != nil || len(o.Code) > 16 || o.Route == "" {
				t.Errorf("got %+v, %v", o, err)
			}
		}
	})
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte(metrics(`smppc_bound_count{cid="smsc-7"} 1`)))
	f.Add([]byte("smppc_bound_count{cid=\"\xff\"} NaN\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := NewJasmin(options("http://x"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if observations, err := j.read(body); err != nil && len(observations) > 0 {
				t.Errorf("got %+v and %v", observations, err)
			}
		}
	})
}
