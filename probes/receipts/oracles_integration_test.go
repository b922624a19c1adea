//go:build integration

package receipts

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// question is what is asked of a provider's library: whether a signature holds, or, with Sign, for one.
type question struct {
	Of        string            `json:"of"`
	Sign      bool              `json:"sign"`
	Method    string            `json:"method"` // of the call, or of signing
	URL       string            `json:"url"`
	Body      string            `json:"body"`
	Fields    map[string]string `json:"fields"` // of a form, or all that was signed
	Secret    string            `json:"secret"`
	Nonce     string            `json:"nonce"` // or the time
	Signature string            `json:"signature"`
}

// oracles installs the libraries, as the lock file has them, and returns their folder.
var oracles = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "oracles"); err != nil {
		return "", err
	}
	installed = dir
	for _, name := range []string{"package.json", "package-lock.json", "oracles.js"} {
		text, err := os.ReadFile(filepath.Join("testdata", "oracles", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			return dir, err
		}
	}
	c := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return dir, nil
})

// installed is the folder of the libraries; "" while no test has asked them.
var installed string

func TestMain(m *testing.M) {
	code := m.Run()
	if installed != "" {
		os.RemoveAll(installed)
	}
	os.Exit(code)
}

// ask asks the libraries. It fails where node or npm are missing.
func ask[T any](t *testing.T, questions []question) []T {
	t.Helper()
	dir, err := oracles()
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("node", "oracles.js")
	var complaints bytes.Buffer
	c.Dir, c.Stdin, c.Stderr = dir, bytes.NewReader(in), &complaints
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node oracles.js: %v\n%s", err, complaints.Bytes())
	}
	var answers []T
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(questions) {
		t.Fatalf("got %d answers, %v: %s", len(answers), err, out)
	}
	return answers
}

// takes reports whether a format takes the call that a question is about. The libraries go by the machine's clock, and so
// does the call.
func (q *question) takes(t *testing.T) bool {
	t.Helper()
	u, err := url.Parse(q.URL)
	if err != nil {
		t.Fatal(err)
	}
	k := Keys{Secrets: []string{q.Secret}, URL: hooks}
	c := &Call{Method: q.Method, URL: &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, Host: "10.0.0.7:9465"}, Query: u.Query(), Body: []byte(q.Body), Header: http.Header{}, Now: time.Now(), Posted: url.Values{}}
	for name, value := range q.Fields {
		c.Posted.Set(name, value)
	}
	switch q.Of {
	case "twilio":
		c.Header.Set("X-Twilio-Signature", q.Signature)
		return k.twilio(c) == nil
	case "plivo":
		c.Header.Set("X-Plivo-Signature-V3", q.Signature)
		c.Header.Set("X-Plivo-Signature-V3-Nonce", q.Nonce)
		return k.plivo(c) == nil
	case "plivo-2":
		c.Header.Set("X-Plivo-Signature-V2", q.Signature)
		c.Header.Set("X-Plivo-Signature-V2-Nonce", q.Nonce)
		return k.plivo(c) == nil
	case "messagebird":
		c.Header.Set("MessageBird-Signature-JWT", q.Signature)
		return k.messageBird(c) == nil
	case "vonage-messages":
		c.Header.Set("Authorization", "Bearer "+q.Signature)
		return k.vonage(c, url.Values{}) == nil
	case "vonage-sms":
		c.Posted.Set("sig", q.Signature)
		return k.vonage(c, c.Posted) == nil
	case "telnyx":
		c.Header.Set("Telnyx-Timestamp", q.Nonce)
		c.Header.Set("Telnyx-Signature-Ed25519", q.Signature)
		return k.telnyx(c) == nil
	}
	t.Fatalf("no format %s", q.Of)
	return false
}

// agree holds what we say of each question beside what the library says, and wants both answers to occur.
func agree(t *testing.T, questions []question) {
	t.Helper()
	said := map[bool]int{}
	for i, theirs := range ask[bool](t, questions) {
		q := &questions[i]
		if ours := q.takes(t); ours != theirs {
			t.Errorf("%s: %s %s body %q fields %v, signature %s: we say %v, the library says %v", q.Of, q.Method, q.URL, q.Body, q.Fields, q.Signature, ours, theirs)
		}
		said[theirs]++
	}
	if said[true] == 0 || said[false] == 0 {
		t.Errorf("the library said %v: want some of both", said)
	}
}

// spoilt are the same questions, and each again with another secret, body and URL than was signed.
func spoilt(questions []question) []question {
	out := questions
	for _, q := range questions {
		other, body, address := q, q, q
		if other.Of != "telnyx" {
			other.Secret = "guess"
			out = append(out, other)
		}
		body.Body += " "
		address.URL += "0"
		out = append(out, body, address)
	}
	return out
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestTwilioAgreesWithItsNodeLibrary(t *testing.T) {
	var all, toSign []question
	for _, address := range []string{hooks + "/receipts/twilio?route=nova", hooks + ":443/receipts/twilio?route=nova", hooks + "/receipts/twilio?route=a%20b&x=it's", hooks + "/receipts/twilio"} {
		for _, fields := range []map[string]string{{"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+447700900001"}, {"MessageSid": "SM1", "Body": "ä & =", "Z": ""}} {
			values := url.Values{}
			for name, value := range fields {
				values.Set(name, value)
			}
			q := question{Of: "twilio", Method: http.MethodPost, URL: address, Fields: fields, Secret: secret}
			q.Signature = b64(sum(sha1.New, secret, address+concatenated(values, "", "")))
			all = append(all, q)
			toSign = append(toSign, q)
		}
	}
	for _, body := range []string{"{}", `{"a":1}`} {
		h := sha256.Sum256([]byte(body))
		q := question{Of: "twilio", Method: http.MethodPost, URL: hooks + "/receipts/twilio?route=nova&bodySHA256=" + hex.EncodeToString(h[:]), Body: body, Secret: secret}
		q.Signature = b64(sum(sha1.New, secret, q.URL))
		all = append(all, q)
	}
	agree(t, spoilt(all))
	takeTheirs(t, toSign)
}

// takeTheirs lets the libraries sign, and wants us to take it.
func takeTheirs(t *testing.T, questions []question) {
	t.Helper()
	for i, signature := range ask[string](t, signing(questions)) {
		q := questions[i]
		if q.Signature = signature; signature == "" || !q.takes(t) {
			t.Errorf("%s: %s %s fields %v: we refuse what the library signed: %s", q.Of, q.Method, q.URL, q.Fields, signature)
		}
	}
}

func TestPlivoAgreesWithItsNodeLibrary(t *testing.T) {
	var all []question
	for _, query := range []string{"", "?route=nova", "?route=nova&class=otp&network=234-15"} {
		base := hooks + "/receipts/plivo"
		q := question{Of: "plivo-2", Method: http.MethodPost, URL: base + query, Secret: secret, Nonce: "n1", Fields: map[string]string{}}
		q.Signature = b64(sum(sha256.New, secret, base+"n1"))
		all = append(all, q)
		for _, fields := range []map[string]string{{}, {"Status": "delivered", "MessageUUID": "p1"}} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if method == http.MethodGet && len(fields) > 0 {
					continue // its fields are those of the query
				}
				u, err := url.Parse(base + query)
				if err != nil {
					t.Fatal(err)
				}
				posted := url.Values{}
				for name, value := range fields {
					posted.Set(name, value)
				}
				q := question{Of: "plivo", Method: method, URL: base + query, Secret: secret, Nonce: "n1", Fields: fields}
				q.Signature = "b3RoZXI=," + b64(sum(sha256.New, secret, plivoText(base, &Call{Method: method, Query: u.Query(), Posted: posted})+".n1"))
				all = append(all, q)
			}
		}
	}
	agree(t, spoiltSecretOnly(all))
}

// spoiltSecretOnly is for signatures that cover neither body nor, in an old version, the query.
func spoiltSecretOnly(questions []question) []question {
	out := questions
	for _, q := range questions {
		other, nonce := q, q
		other.Secret, nonce.Nonce = "guess", "n2"
		out = append(out, other, nonce)
	}
	return out
}

func TestMessageBirdAgreesWithItsNodeLibrary(t *testing.T) {
	hashed := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	var all, toSign []question
	for _, body := range []string{"", "id=mb1&status=delivered"} {
		for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			for name, change := range map[string]func(jwt.MapClaims){
				"as it is":          func(jwt.MapClaims) {},
				"just over":         func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-3 * time.Second).Unix() },
				"over":              func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() },
				"not yet":           func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Minute).Unix() },
				"of somebody else":  func(c jwt.MapClaims) { c["iss"] = "Mallory" },
				"without an id":     func(c jwt.MapClaims) { delete(c, "jti") },
				"without its URL":   func(c jwt.MapClaims) { delete(c, "url_hash") },
				"without its body":  func(c jwt.MapClaims) { delete(c, "payload_hash") },
				"a hash of nothing": func(c jwt.MapClaims) { c["payload_hash"] = hashed("") },
			} {
				address := hooks + "/receipts/messagebird?route=nova&id=mb1&status=delivered&x=" + url.QueryEscape(name)
				claims := jwt.MapClaims{"iss": "MessageBird", "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "jti": "j-1", "url_hash": hashed(address)}
				if body != "" {
					claims["payload_hash"] = hashed(body)
				}
				change(claims)
				signed, err := jwt.NewWithClaims(method, claims).SignedString([]byte(secret))
				if err != nil {
					t.Fatal(err)
				}
				q := question{Of: "messagebird", Method: method.Alg(), URL: address, Body: body, Secret: secret, Signature: signed}
				all = append(all, q)
				toSign = append(toSign, q)
			}
		}
	}
	toSign = append(toSign, question{Of: "messagebird", Method: "HS256", URL: hooks + "/receipts/messagebird?id=mb1", Secret: secret, Nonce: "hash of nothing"})
	agree(t, spoilt(all))
	takeTheirs(t, toSign)
}

func TestVonageAgreesWithItsNodeLibraries(t *testing.T) {
	const body = `{"message_uuid":"aaaa-1","status":"delivered"}`
	h := sha256.Sum256([]byte(body))
	signed := func(key string, exp time.Duration) string {
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iat": time.Now().Unix(), "exp": time.Now().Add(exp).Unix(), "payload_hash": hex.EncodeToString(h[:])}).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	messages := question{Of: "vonage-messages", Method: http.MethodPost, URL: hooks + "/receipts/vonage", Body: body, Secret: secret, Signature: signed(secret, time.Hour)}
	late, other := messages, messages
	late.Signature, other.Signature = signed(secret, -time.Hour), signed("guess", time.Hour)
	all := []question{messages, late, other}
	changed := messages
	changed.Body += " "
	all = append(all, changed)
	toSign := []question{messages}

	for method, h := range map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New, "md5hash": nil} {
		fields := map[string]string{"messageId": "v1", "status": "delivered", "timestamp": seconds(time.Now()), "msisdn": "447700900001", "text": "a_b c_ä"}
		values := url.Values{}
		for name, value := range fields {
			values.Set(name, value)
		}
		text := "&" + concatenated(values, "=", "&")
		fields["text"] = "a&b c=ä"
		q := question{Of: "vonage-sms", Method: method, URL: hooks + "/receipts/vonage", Fields: fields, Secret: secret}
		if plain := md5.Sum([]byte(text + secret)); h == nil {
			q.Signature = hex.EncodeToString(plain[:])
		} else {
			q.Signature = hex.EncodeToString(sum(h, secret, text))
		}
		guess := q
		guess.Secret = "guess"
		all = append(all, q, guess)
		toSign = append(toSign, q)
	}
	agree(t, all)
	takeTheirs(t, toSign)
}

func TestTelnyxAgreesWithItsNodeLibrary(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"data":{"event_type":"message.finalized","payload":{"id":"tx-1","text":"ä"}}}`
	var all, toSign []question
	for _, at := range []time.Duration{0, -4 * time.Minute, -6 * time.Minute, 6 * time.Minute} {
		stamp := seconds(time.Now().Add(at))
		q := question{Of: "telnyx", Method: http.MethodPost, URL: hooks + "/receipts/telnyx", Body: body, Secret: b64(public), Nonce: stamp, Signature: b64(ed25519.Sign(private, []byte(stamp+"|"+body)))}
		cut, other := q, q
		cut.Signature, other.Body = b64([]byte("short")), body+" "
		all = append(all, q, cut, other)
		if at.Abs() < 5*time.Minute {
			q.Secret = b64(der)
			toSign = append(toSign, q)
		}
	}
	agree(t, all)
	for i, signature := range ask[string](t, signing(toSign)) {
		q := toSign[i]
		if q.Secret, q.Signature = b64(public), signature; !q.takes(t) {
			t.Errorf("telnyx: we refuse what Node signed at %s", q.Nonce)
		}
	}
}

func signing(questions []question) []question {
	out := make([]question, len(questions))
	for i, q := range questions {
		q.Sign = true
		out[i] = q
	}
	return out
}
