package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// The whole of it: TLS, tokens, a change of both without a restart, and a stop that lets requests end.
func TestBehindTLSAndTokens(t *testing.T) {
	a := newAuthority(t)
	s := newGuarded(t, func(s *guarded, _ *daemonOptions) {
		s.secure(a, "http_server_config: {headers: {X-Content-Type-Options: nosniff, Strict-Transport-Security: max-age=31536000}}\n")
		s.write("tokens.yml", "tokens:\n  - "+s.lines["viewer"]+"\n  - "+s.lines["admin"]+"\n")
	})
	client := a.client()
	if status, _ := s.call(client, "GET", "/routes", "", ""); status != 401 {
		t.Errorf("without a token: got %d, want 401", status)
	}
	if status, answer := s.call(client, "GET", "/routes", s.tokens["viewer"], ""); status != 200 || !strings.Contains(answer, "acme") {
		t.Errorf("with a token: got %d %s, want the table", status, answer)
	}
	resp, err := client.Get("https://" + s.d.address() + "/-/healthy")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("got %s with %v, want HTTP/2 with the headers of the file", resp.Proto, resp.Header)
	}
	// Another authority signs the next certificate: it is used once it is read again.
	b := newAuthority(t)
	s.secure(b, "")
	if status, answer := s.call(client, "POST", "/-/reload", s.tokens["admin"], ""); status != 200 {
		t.Fatalf("reload: got %d %s", status, answer)
	}
	if status, _ := s.call(b.client(), "GET", "/-/healthy", "", ""); status != 200 {
		t.Errorf("with the new certificate: got %d, want 200", status)
	}
	s.write("web.yml", "{}\n") // TLS cannot be left out by a slip
	if status, answer := s.call(b.client(), "POST", "/-/reload", s.tokens["admin"], ""); status != 422 || !strings.Contains(answer, "only a restart changes that") {
		t.Errorf("without TLS: got %d %s, want 422", status, answer)
	}
}

// rawly sends bytes to an address and returns what comes back until the other side closes.
func rawly(t *testing.T, address string, send []byte) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(send); err != nil {
		return ""
	}
	got, err := io.ReadAll(io.LimitReader(c, 64<<10))
	if os.IsTimeout(err) {
		t.Errorf("%.20q: it kept the connection", send)
	}
	return string(got)
}

// What is no TLS, or no TLS of ours, is refused and closed, and others are served meanwhile.
func TestBadTLSIsRefused(t *testing.T) {
	a := newAuthority(t)
	s := newGuarded(t, func(s *guarded, _ *daemonOptions) {
		s.secure(a, "basic_auth_users: {ann: '$2y$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi'}\n")
	})
	address := s.d.address()
	if got := rawly(t, address, []byte("GET /routes HTTP/1.1\r\nHost: x\r\n\r\n")); !strings.Contains(got, "HTTP/1.0 400") {
		t.Errorf("plain HTTP: got %q, want 400", got)
	}
	for name, send := range map[string][]byte{
		"another record":      {0x99, 3, 1, 0, 5, 1, 2, 3, 4, 5, 6, 7},
		"a record too long":   append([]byte{22, 3, 1, 0xff, 0xff}, make([]byte, 70_000)...),
		"a hello cut short":   {22, 3, 1, 0, 4, 1, 0, 0, 0},
		"an early alert":      {21, 3, 1, 0, 2, 2, 40},
		"data before a hello": append([]byte{23, 3, 3, 0, 16}, make([]byte, 16)...),
	} {
		if got := rawly(t, address, send); strings.Contains(got, "HTTP") {
			t.Errorf("%s: got %q, want an alert or nothing", name, got)
		}
	}
	old := a.client()
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if _, err := old.Get("https://" + address + "/-/healthy"); err == nil {
		t.Error("TLS 1.1: got an answer, want it refused")
	}
	if status, _ := s.call(a.client(), "GET", "/-/healthy", "", ""); status != 200 {
		t.Errorf("a good client after all that: got %d, want 200", status)
	}
}

// Who shows no certificate, an expired one, or one of another authority does not get in.
func TestClientCertificates(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	s := newGuarded(t, func(s *guarded, _ *daemonOptions) {
		s.secure(a, "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [gw-1]\n")
		s.write("tokens.yml", "tokens: ["+s.lines["viewer"]+"]\n")
	})
	soon := time.Now().Add(time.Hour)
	for name, client := range map[string]*http.Client{
		"none":              a.client(),
		"expired":           a.client(a.pair("gw-1", time.Now().Add(-time.Minute))),
		"another authority": a.client(other.pair("gw-1", soon)),
		"another name":      a.client(a.pair("gw-2", soon)),
	} {
		if resp, err := client.Get("https://" + s.d.address() + "/-/healthy"); err == nil {
			resp.Body.Close()
			t.Errorf("%s: got %s, want it refused", name, resp.Status)
		}
	}
	if status, _ := s.call(a.client(a.pair("gw-1", soon)), "GET", "/routes", s.tokens["viewer"], ""); status != 200 {
		t.Errorf("a good one: got %d, want 200", status)
	}
}

// A certificate whose renewal is half done does not close the doors.
func TestACertificateThatCannotBeReadLeavesTheLastGoodOne(t *testing.T) {
	a := newAuthority(t)
	s := newGuarded(t, func(s *guarded, _ *daemonOptions) {
		s.secure(a, "")
		s.write("tokens.yml", "tokens: ["+s.lines["viewer"]+"]\n")
	})
	s.write("server.key", "half a key")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.log.String(), "certificate not renewed"); time.Sleep(100 * time.Millisecond) {
		if status, _ := s.call(a.client(), "GET", "/-/healthy", "", ""); status != 200 {
			t.Fatalf("got %d, want 200", status)
		}
		if time.Now().After(end) {
			t.Fatal("the log does not say that the certificate could not be read")
		}
	}
	if status, _ := s.call(a.client(), "GET", "/-/healthy", "", ""); status != 200 {
		t.Errorf("got %d, want 200", status)
	}
}

// Clients that say nothing, or say it slowly, are cut off, and keep nobody else out.
func TestSlowClientsKeepNobodyOut(t *testing.T) {
	s := newGuarded(t, func(_ *guarded, o *daemonOptions) { o.web.connections = 400 })
	var slow []net.Conn
	for i := range 200 {
		c, err := net.Dial("tcp", s.d.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /routes HTTP/1.1\r\nHost: x\r\nX-%d: ", i) // and no more
		slow = append(slow, c)
	}
	s.wants(200, "GET", "/routes", s.tokens["viewer"], "")
	for _, c := range slow {
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadAll(c); os.IsTimeout(err) {
			t.Fatal("a client that never ends its headers is kept")
		}
	}
	s.wants(200, "GET", "/routes", s.tokens["viewer"], "")
}

// A flood of strangers is counted, is a line in the log, and leaves those alone who are known.
func TestAFloodOfStrangers(t *testing.T) {
	s := newGuarded(t, nil)
	const callers, calls = 10, 300
	statuses := make(chan int, callers*calls)
	var flood sync.WaitGroup
	for i := range callers {
		flood.Go(func() {
			for j := range calls {
				r := httptest.NewRequest("GET", "/routes", nil)
				if r.SetBasicAuth("ann", fmt.Sprint("guess ", i, j)); j%2 == 0 {
					r.Header.Set("Authorization", fmt.Sprint("Bearer guess-", i, j))
				}
				rec := httptest.NewRecorder()
				s.d.server.Handler.ServeHTTP(rec, r)
				statuses <- rec.Code
			}
		})
	}
	for range 50 {
		s.wants(200, "GET", "/routes", s.tokens["sender"], "")
	}
	flood.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	if counts[401]+counts[429] != callers*calls || counts[401] > 100 {
		t.Errorf("got %v, want a few 401 and then 429", counts)
	}
	if lines := strings.Count(s.log.String(), "call refused"); lines == 0 || lines > 20 {
		t.Errorf("the log has %d lines of it", lines)
	}
	total := 0.0
	for line := range strings.Lines(s.wants(200, "GET", "/metrics", s.tokens["viewer"], "")) {
		var n float64
		if _, after, found := strings.Cut(line, "} "); found && strings.HasPrefix(line, "signalbox_http_refused_total{") {
			fmt.Sscan(after, &n)
			total += n
		}
	}
	if total != callers*calls {
		t.Errorf("counted %v, want all %d", total, callers*calls)
	}
}

// Who is not let in need not be listened to: the answer comes before the body does.
func TestABodyOfNobodyIsNotWaitedFor(t *testing.T) {
	s := newGuarded(t, nil)
	for _, path := range []string{"/events", "/receipts/kannel", "/api/v1/policy/plan"} {
		c, err := net.Dial("tcp", s.d.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", path) // and nothing of it
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 401 {
			t.Errorf("%s: got %v, %v, want 401", path, resp, err)
		}
	}
}

// Connections beyond the bound are closed at once, and there is room again when others go.
func TestConnectionsAreBounded(t *testing.T) {
	s := newGuarded(t, func(_ *guarded, o *daemonOptions) { o.web.connections = 8 })
	http.DefaultClient.CloseIdleConnections()
	var open []net.Conn
	closed := 0
	for range 64 {
		c, err := net.Dial("tcp", s.d.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			closed++
			continue
		}
		open = append(open, c)
	}
	if len(open) != 8 || closed != 56 {
		t.Errorf("got %d connections and %d closed, want 8 and 56", len(open), closed)
	}
	for _, c := range open {
		c.Close()
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + s.d.address() + "/-/healthy")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("there is no room again: %v", err)
		}
	}
}

// More than 16 KiB of headers is refused before anything is read of them, with TLS and HTTP/2 too.
func TestLargeHeadersAreRefused(t *testing.T) {
	a := newAuthority(t)
	s := newGuarded(t, func(s *guarded, _ *daemonOptions) {
		s.secure(a, "")
		s.write("tokens.yml", "tokens: ["+s.lines["viewer"]+"]\n")
	})
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		client := a.client()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
		r, err := http.NewRequest("GET", "https://"+s.d.address()+"/-/healthy", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 600 {
			r.Header.Set(fmt.Sprintf("X-%d", i), strings.Repeat("a", 100))
		}
		resp, err := client.Do(r)
		if err != nil {
			continue // the connection was closed
		}
		resp.Body.Close()
		if resp.StatusCode != 431 {
			t.Errorf("%s: got %s, want 431", name, resp.Status)
		}
	}
	if status, _ := s.call(a.client(), "GET", "/-/healthy", "", ""); status != 200 {
		t.Errorf("a good client after that: got %d, want 200", status)
	}
}
