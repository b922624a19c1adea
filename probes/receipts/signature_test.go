package receipts

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/plivo/plivo-go"
	"github.com/sirupsen/logrus"
	"github.com/twilio/twilio-go/client"
)

const (
	secret  = "s3cret"
	retired = "old-secret"
	hooks   = "https://hooks.example.net"
)

var keys = Keys{Secrets: []string{retired, secret}, URL: hooks}

func seconds(t time.Time) string { return fmt.Sprint(t.Unix()) }

// Each signature is made as its provider's documentation says, and then spoilt in each way that matters.
func TestSignaturesAreChecked(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKeys := Keys{Secrets: []string{base64.StdEncoding.EncodeToString(public)}}
	const (
		telnyx = `{"data":{"event_type":"message.finalized","payload":{"id":"tx-1","to":[{"status":"delivered"}]}}}`
		sinch  = `{"batch_id":"01FC","status":"Delivered","code":0}`
		uuid   = `{"message_uuid":"aaaa-1","status":"delivered"}`
		form   = "MessageSid=SM1&MessageStatus=delivered&From=%2B1"
		sent   = "Status=delivered&MessageUUID=p1"
	)
	token := func(method jwt.SigningMethod, key string, claims jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(method, claims).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	bird := "/receipts/messagebird?route=nova&id=mb1&status=delivered"
	birdClaims := func(change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{"iss": "MessageBird", "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "1", "url_hash": hash(hooks + bird)}
		change(c)
		return token(jwt.SigningMethodHS256, secret, c)
	}
	same := func(jwt.MapClaims) {}
	sms := func(h func(string) string) string {
		v := url.Values{"route": {"nova"}, "messageId": {"v1"}, "status": {"delivered"}, "timestamp": {seconds(now)}, "text": {"a_b_c"}}
		text := "&" + concatenated(v, "=", "&")
		v.Set("text", "a&b=c")
		return "?" + v.Encode() + "&sig=" + h(text)
	}
	hmacHex := func(n int) func(string) string {
		return func(text string) string {
			return hex.EncodeToString([][]byte{sum(sha256.New, secret, text), sum(sha512.New, secret, text), sum(sha1.New, secret, text), sum(md5.New, secret, text)}[n])
		}
	}
	plain := func(text string) string {
		h := md5.Sum([]byte(text + secret))
		return strings.ToUpper(hex.EncodeToString(h[:]))
	}
	b64 := base64.StdEncoding.EncodeToString
	sign := func(at time.Time, body string) []string {
		return []string{"Telnyx-Timestamp", seconds(at), "Telnyx-Signature-Ed25519", b64(ed25519.Sign(private, []byte(seconds(at)+"|"+body)))}
	}
	sinchSign := func(at time.Time, key, body string) []string {
		return []string{"X-Sinch-Webhook-Signature-Nonce", "n1", "X-Sinch-Webhook-Signature-Timestamp", seconds(at),
			"X-Sinch-Webhook-Signature", b64(sum(sha256.New, key, body+".n1."+seconds(at)))}
	}
	v3 := func(text string) []string {
		return []string{"X-Plivo-Signature-V3-Nonce", "n1", "X-Plivo-Signature-V3", "b3RoZXI=," + b64(sum(sha256.New, secret, text+".n1"))}
	}
	twilio := func(u, fields string) []string {
		return []string{"X-Twilio-Signature", b64(sum(sha1.New, secret, u+fields))}
	}
	const fields = "From+1MessageSidSM1MessageStatusdelivered"
	for name, c := range map[string]struct {
		format      Format
		query, body string
		header      []string
		ok          bool
	}{
		"twilio":                          {Twilio(keys), "?route=nova", form, twilio(hooks+"/receipts/twilio?route=nova", fields), true},
		"twilio, with a port":             {Twilio(keys), "?route=nova", form, twilio("https://hooks.example.net:443/receipts/twilio?route=nova", fields), true},
		"twilio, of JSON":                 {Twilio(keys), "?route=nova&MessageSid=SM1&MessageStatus=sent&bodySHA256=" + hash("{}"), "{}", twilio(hooks+"/receipts/twilio?route=nova&MessageSid=SM1&MessageStatus=sent&bodySHA256="+hash("{}"), ""), true},
		"twilio, another body":            {Twilio(keys), "?route=nova&MessageSid=SM1&MessageStatus=sent&bodySHA256=" + hash("{}"), "{ }", twilio(hooks+"/receipts/twilio?route=nova&MessageSid=SM1&MessageStatus=sent&bodySHA256="+hash("{}"), ""), false},
		"twilio, another route":           {Twilio(keys), "?route=bolt", form, twilio(hooks+"/receipts/twilio?route=nova", fields), false},
		"twilio, another field":           {Twilio(keys), "?route=nova", form + "&ErrorCode=1", twilio(hooks+"/receipts/twilio?route=nova", fields), false},
		"twilio, none":                    {Twilio(keys), "?route=nova", form, nil, false},
		"vonage sms, sha256":              {Vonage(keys), sms(hmacHex(0)), "", nil, true},
		"vonage sms, sha512":              {Vonage(keys), sms(hmacHex(1)), "", nil, true},
		"vonage sms, sha1":                {Vonage(keys), sms(hmacHex(2)), "", nil, true},
		"vonage sms, md5":                 {Vonage(keys), sms(hmacHex(3)), "", nil, true},
		"vonage sms, md5 hash":            {Vonage(keys), sms(plain), "", nil, true},
		"vonage sms, another state":       {Vonage(keys), strings.Replace(sms(plain), "delivered", "failed", 1), "", nil, false},
		"vonage sms, replayed":            {Vonage(keys), strings.Replace(sms(plain), seconds(now), seconds(now.Add(-time.Hour)), 1), "", nil, false},
		"vonage messages":                 {Vonage(keys), "?route=nova", uuid, []string{"Authorization", "Bearer " + token(jwt.SigningMethodHS256, secret, jwt.MapClaims{"iat": now.Unix(), "payload_hash": hash(uuid), "api_key": "a"})}, true},
		"vonage messages, another body":   {Vonage(keys), "?route=nova", uuid + " ", []string{"Authorization", "Bearer " + token(jwt.SigningMethodHS256, secret, jwt.MapClaims{"iat": now.Unix(), "payload_hash": hash(uuid)})}, false},
		"vonage messages, replayed":       {Vonage(keys), "?route=nova", uuid, []string{"Authorization", "Bearer " + token(jwt.SigningMethodHS256, secret, jwt.MapClaims{"iat": now.Add(-time.Hour).Unix(), "payload_hash": hash(uuid)})}, false},
		"vonage messages, no time":        {Vonage(keys), "?route=nova", uuid, []string{"Authorization", "Bearer " + token(jwt.SigningMethodHS256, secret, jwt.MapClaims{"payload_hash": hash(uuid)})}, false},
		"vonage messages, another key":    {Vonage(keys), "?route=nova", uuid, []string{"Authorization", "Bearer " + token(jwt.SigningMethodHS256, "guess", jwt.MapClaims{"iat": now.Unix(), "payload_hash": hash(uuid)})}, false},
		"vonage, none":                    {Vonage(keys), "?route=nova", uuid, nil, false},
		"sinch":                           {Sinch(keys), "?route=nova", sinch, sinchSign(now, secret, sinch), true},
		"sinch, a retired secret":         {Sinch(keys), "?route=nova", sinch, sinchSign(now, retired, sinch), true},
		"sinch, another secret":           {Sinch(keys), "?route=nova", sinch, sinchSign(now, "guess", sinch), false},
		"sinch, replayed":                 {Sinch(keys), "?route=nova", sinch, sinchSign(now.Add(-time.Hour), secret, sinch), false},
		"sinch, another body":             {Sinch(keys), "?route=nova", sinch, sinchSign(now, secret, sinch+" "), false},
		"plivo 2":                         {Plivo(keys), "?route=nova", sent, []string{"X-Plivo-Signature-V2-Nonce", "n1", "X-Plivo-Signature-V2", b64(sum(sha256.New, secret, hooks+"/receipts/plivon1"))}, true},
		"plivo 3":                         {Plivo(keys), "?route=nova", sent, v3(hooks + "/receipts/plivo?route=nova.MessageUUIDp1Statusdelivered"), true},
		"plivo 3 by query":                {Plivo(keys), "?route=nova&Status=sent&MessageUUID=p1", "", v3(hooks + "/receipts/plivo?MessageUUID=p1&Status=sent&route=nova"), true},
		"plivo 3, another state":          {Plivo(keys), "?route=nova", sent, v3(hooks + "/receipts/plivo?route=nova.MessageUUIDp1Statusfailed"), false},
		"plivo, none":                     {Plivo(keys), "?route=nova", sent, nil, false},
		"telnyx":                          {Telnyx(edKeys), "?route=nova", telnyx, sign(now, telnyx), true},
		"telnyx, replayed":                {Telnyx(edKeys), "?route=nova", telnyx, sign(now.Add(-6*time.Minute), telnyx), false},
		"telnyx, another body":            {Telnyx(edKeys), "?route=nova", telnyx, sign(now, telnyx+" "), false},
		"telnyx, none":                    {Telnyx(edKeys), "?route=nova", telnyx, nil, false},
		"messagebird":                     {MessageBird(keys), bird[len("/receipts/messagebird"):], "", []string{"MessageBird-Signature-JWT", birdClaims(same)}, true},
		"messagebird, another URL":        {MessageBird(keys), "?route=nova&id=mb1&status=expired", "", []string{"MessageBird-Signature-JWT", birdClaims(same)}, false},
		"messagebird, expired":            {MessageBird(keys), bird[len("/receipts/messagebird"):], "", []string{"MessageBird-Signature-JWT", birdClaims(func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Minute).Unix() })}, false},
		"messagebird, for ever":           {MessageBird(keys), bird[len("/receipts/messagebird"):], "", []string{"MessageBird-Signature-JWT", birdClaims(func(c jwt.MapClaims) { delete(c, "exp") })}, false},
		"messagebird, of somebody":        {MessageBird(keys), bird[len("/receipts/messagebird"):], "", []string{"MessageBird-Signature-JWT", birdClaims(func(c jwt.MapClaims) { c["iss"] = "Mallory" })}, false},
		"messagebird, a hash of no body":  {MessageBird(keys), bird[len("/receipts/messagebird"):], "", []string{"MessageBird-Signature-JWT", birdClaims(func(c jwt.MapClaims) { c["payload_hash"] = hash("x") })}, false},
		"messagebird, without algorithm":  {MessageBird(keys), bird[len("/receipts/messagebird"):], "", []string{"MessageBird-Signature-JWT", unsigned(t, jwt.MapClaims{"iss": "MessageBird", "exp": now.Add(time.Minute).Unix(), "url_hash": hash(hooks + bird)})}, false},
		"kannel with its key":             {Kannel(keys), "?" + query().Encode() + "&key=" + secret, "", nil, true},
		"kannel without":                  {Kannel(keys), "?" + query().Encode(), "", nil, false},
		"jasmin with its key":             {Jasmin(keys), "?key=" + secret, "id=j1&message_status=DELIVRD&connector=acme", nil, true},
		"jasmin with another":             {Jasmin(keys), "?key=guess", "id=j1&message_status=DELIVRD&connector=acme", nil, false},
		"jasmin with the key in the body": {Jasmin(keys), "", "id=j1&message_status=DELIVRD&connector=acme&key=" + secret, nil, false},
		"infobip with its bearer":         {Infobip(keys), "?route=nova", `{"results":[{"messageId":"a","status":{"groupName":"DELIVERED","id":5}}]}`, []string{"Authorization", "Bearer " + secret}, true},
		"infobip without":                 {Infobip(keys), "?route=nova", `{"results":[{"messageId":"a","status":{"groupName":"DELIVERED","id":5}}]}`, nil, false},
	} {
		r := callTo(c.format.Name, c.query, c.body)
		r.Host = "10.0.0.7:9465" // a proxy stands before us
		for i := 0; i+1 < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		a, got := told(t, []Format{c.format}, r)
		if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[c.ok]; a.code != want || (got != "") != c.ok {
			t.Errorf("%s: got %d %s %q, want %d", name, a.code, a.detail, got, want)
		}
	}
}

// unsigned is a token of the algorithm none, which nobody may take.
func unsigned(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Twilio's own validator agrees, on calls that hold and on those that do not.
func TestTwilioAgreesWithItsOwnValidator(t *testing.T) {
	validator := client.NewRequestValidator(secret)
	for _, query := range []string{"?route=nova", "?route=nova&class=otp", "?route=a%20b"} {
		for _, body := range []string{"MessageSid=SM1&MessageStatus=sent", "MessageSid=SM1&MessageStatus=delivered&Body=a+b%26c&To=%2B1"} {
			posted, err := url.ParseQuery(body)
			if err != nil {
				t.Fatal(err)
			}
			address := hooks + "/receipts/twilio" + query
			for _, signature := range []string{
				base64.StdEncoding.EncodeToString(sum(sha1.New, secret, address+concatenated(posted, "", ""))),
				base64.StdEncoding.EncodeToString(sum(sha1.New, secret, address)),
				base64.StdEncoding.EncodeToString(sum(sha1.New, "guess", address+concatenated(posted, "", ""))),
			} {
				u, err := url.Parse(address)
				if err != nil {
					t.Fatal(err)
				}
				c := &Call{Method: http.MethodPost, URL: u, Query: u.Query(), Body: []byte(body), Posted: posted, Header: http.Header{"X-Twilio-Signature": {signature}}, Now: now}
				if got, want := keys.twilio(c) == nil, validator.ValidateBody(address, []byte(body), signature); got != want {
					t.Errorf("%s with %s: got %v, the validator says %v", address, body, got, want)
				}
			}
		}
	}
}

// snsWorld is an SNS of our own: a root, a certificate and the fetching of both.
type snsWorld struct {
	roots     *x509.CertPool
	key       *rsa.PrivateKey
	pem       []byte
	issuer    []byte // of the certificate, where there is one between it and the root
	fetched   []string
	fetchFail error
}

const (
	topic   = "arn:aws:sns:eu-west-1:123456789012:receipts"
	pemURL  = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
	confirm = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
)

// issuerURL is where Amazon publishes the issuer's certificate.
const issuerURL = "http://crt.r2m01.amazontrust.com/r2m01.cer"

func newSNS(t *testing.T, name string) *snsWorld { return chainedSNS(t, name, "") }

// chainedSNS has a certificate between its own and the root, which is published at a URL; "" is none.
func chainedSNS(t *testing.T, name, published string) *snsWorld {
	t.Helper()
	w := &snsWorld{roots: x509.NewCertPool()}
	make := func(subject string, ca bool, parent *x509.Certificate, by *rsa.PrivateKey, urls ...string) (*x509.Certificate, *rsa.PrivateKey, []byte) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: subject}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: ca, BasicConstraintsValid: true, DNSNames: []string{subject}, IssuingCertificateURL: urls, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
		if parent == nil {
			parent, by = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key, der
	}
	root, rootKey, _ := make("root", true, nil, nil)
	w.roots.AddCert(root)
	above, aboveKey := root, rootKey
	var urls []string
	if published != "" {
		urls = []string{published}
		above, aboveKey, w.issuer = make("issuer", true, root, rootKey)
	}
	_, key, der := make(name, false, above, aboveKey, urls...)
	w.key, w.pem = key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return w
}

func (w *snsWorld) fetch(_ context.Context, address string) ([]byte, error) {
	w.fetched = append(w.fetched, address)
	if address != pemURL && w.issuer != nil {
		return w.issuer, w.fetchFail
	}
	return w.pem, w.fetchFail
}

// post is a call of SNS, signed after change.
func (w *snsWorld) post(t *testing.T, version string, change func(*envelope)) *http.Request {
	t.Helper()
	e := &envelope{Type: "Notification", MessageID: "m", TopicArn: topic, Timestamp: now.Format(time.RFC3339), SignatureVersion: version, SigningCertURL: pemURL,
		Message: `{"eventType":"TEXT_DELIVERED","messageId":"aw-1","isFinal":true,"destinationPhoneNumber":"+447700900001"}`}
	change(e)
	// The text that is signed, as SNS documents it.
	text := "Message\n" + e.Message + "\nMessageId\n" + e.MessageID + "\n"
	if e.Type == "Notification" {
		if e.Subject != "" {
			text += "Subject\n" + e.Subject + "\n"
		}
		text += "Timestamp\n" + e.Timestamp + "\n"
	} else {
		text += "SubscribeURL\n" + e.SubscribeURL + "\nTimestamp\n" + e.Timestamp + "\nToken\n" + e.Token + "\n"
	}
	text += "TopicArn\n" + e.TopicArn + "\nType\n" + e.Type + "\n"
	hashed, by := sha256.Sum256([]byte(text)), crypto.SHA256
	digest := hashed[:]
	if version == "1" {
		old := sha1.Sum([]byte(text))
		digest, by = old[:], crypto.SHA1
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, w.key, by, digest)
	if err != nil {
		t.Fatal(err)
	}
	if e.Signature == "" {
		e.Signature = base64.StdEncoding.EncodeToString(signature)
	}
	body, err := json.Marshal(map[string]string{"Type": e.Type, "MessageId": e.MessageID, "Token": e.Token, "TopicArn": e.TopicArn, "Subject": e.Subject, "Message": e.Message, "Timestamp": e.Timestamp,
		"SignatureVersion": e.SignatureVersion, "Signature": e.Signature, "SigningCertURL": e.SigningCertURL, "SubscribeURL": e.SubscribeURL})
	if err != nil {
		t.Fatal(err)
	}
	return callTo("aws", "?route=nova", string(body))
}

func TestAWSTakesWhatSNSHasSigned(t *testing.T) {
	event := func(text string) func(*envelope) { return func(e *envelope) { e.Message = text } }
	for name, c := range map[string]struct {
		version string
		change  func(*envelope)
		code    int
		want    string
		fetched int
	}{
		"delivered":             {"1", func(*envelope) {}, 200, "nova aw-1 delivered", 1},
		"version 2":             {"2", func(*envelope) {}, 200, "nova aw-1 delivered", 1},
		"with a subject":        {"1", func(e *envelope) { e.Subject = "s" }, 200, "nova aw-1 delivered", 1},
		"successful":            {"1", event(`{"eventType":"TEXT_SUCCESSFUL","messageId":"aw-1","isFinal":true}`), 200, "nova aw-1 delivered", 1},
		"not final":             {"1", event(`{"eventType":"TEXT_SUCCESSFUL","messageId":"aw-1","isFinal":false}`), 200, "nova aw-1 enroute SUCCESSFUL", 1},
		"sent":                  {"1", event(`{"eventType":"TEXT_SENT","messageId":"aw-1","isFinal":false}`), 200, "nova aw-1 enroute SENT", 1},
		"a carrier unreachable": {"1", event(`{"eventType":"TEXT_CARRIER_UNREACHABLE","messageId":"aw-1","isFinal":true}`), 200, "nova aw-1 failed CARRIER_UNREACHABLE", 1},
		"blocked":               {"1", event(`{"eventType":"TEXT_CARRIER_BLOCKED","messageId":"aw-1","isFinal":true}`), 200, "nova aw-1 rejected CARRIER_BLOCKED", 1},
		"expired":               {"1", event(`{"eventType":"TEXT_TTL_EXPIRED","messageId":"aw-1","isFinal":true}`), 200, "nova aw-1 expired TTL_EXPIRED", 1},
		"nobody knows":          {"1", event(`{"eventType":"TEXT_UNKNOWN","messageId":"aw-1","isFinal":true}`), 200, "nova aw-1 unknown UNKNOWN", 1},
		"of voice":              {"1", event(`{"eventType":"VOICE_COMPLETED","messageId":"aw-1"}`), 200, "", 1},
		"no event":              {"1", event("hello"), 400, "", 1},
		"a subscription":        {"1", func(e *envelope) { e.Type, e.Token, e.SubscribeURL = "SubscriptionConfirmation", "t", confirm }, 200, "", 2},
		"a subscription elsewhere": {"1", func(e *envelope) {
			e.Type, e.Token, e.SubscribeURL = "SubscriptionConfirmation", "t", "https://evil.example/?x=sns.eu-west-1.amazonaws.com"
		}, 403, "", 1},
		"an unsubscription":       {"1", func(e *envelope) { e.Type, e.Token, e.SubscribeURL = "UnsubscribeConfirmation", "t", confirm }, 200, "", 1},
		"another topic":           {"1", func(e *envelope) { e.TopicArn = "arn:aws:sns:eu-west-1:666:evil" }, 403, "", 0},
		"another signature":       {"1", func(e *envelope) { e.Signature = base64.StdEncoding.EncodeToString([]byte("guess")) }, 403, "", 1},
		"no base64":               {"1", func(e *envelope) { e.Signature = "%" }, 403, "", 1},
		"a version nobody knows":  {"1", func(e *envelope) { e.SignatureVersion = "3" }, 403, "", 1},
		"a type nobody knows":     {"1", func(e *envelope) { e.Type = "Other" }, 403, "", 1},
		"a certificate elsewhere": {"1", func(e *envelope) { e.SigningCertURL = "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem" }, 403, "", 0},
		"a certificate by http":   {"1", func(e *envelope) { e.SigningCertURL = strings.Replace(pemURL, "https", "http", 1) }, 403, "", 0},
		"a certificate of a user": {"1", func(e *envelope) { e.SigningCertURL = "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem" }, 403, "", 0},
		"a port of its own":       {"1", func(e *envelope) { e.SigningCertURL = "https://sns.eu-west-1.amazonaws.com:8443/x.pem" }, 403, "", 0},
	} {
		w := newSNS(t, "sns.amazonaws.com")
		a, got := told(t, []Format{AWS(Keys{Topics: []string{topic}}, w.fetch, w.roots)}, w.post(t, c.version, c.change))
		if a.code != c.code || got != c.want || len(w.fetched) != c.fetched {
			t.Errorf("%s: got %d %s %q after fetching %v, want %d %q", name, a.code, a.detail, got, w.fetched, c.code, c.want)
		}
	}
}

func TestAWSTrustsOnlyTheCertificatesOfSNS(t *testing.T) {
	for name, c := range map[string]struct {
		host  string
		roots func(*snsWorld) *x509.CertPool
		fail  error
		code  int
	}{
		"of SNS":             {"sns.amazonaws.com", func(w *snsWorld) *x509.CertPool { return w.roots }, nil, 200},
		"of another host":    {"evil.example", func(w *snsWorld) *x509.CertPool { return w.roots }, nil, 403},
		"of an unknown root": {"sns.amazonaws.com", func(*snsWorld) *x509.CertPool { return x509.NewCertPool() }, nil, 403},
		"that cannot be had": {"sns.amazonaws.com", func(w *snsWorld) *x509.CertPool { return w.roots }, errors.New("no network"), 503},
	} {
		w := newSNS(t, c.host)
		w.fetchFail = c.fail
		format := AWS(Keys{Topics: []string{topic}}, w.fetch, c.roots(w))
		for range 2 {
			if a, _ := told(t, []Format{format}, w.post(t, "1", func(*envelope) {})); a.code != c.code {
				t.Errorf("%s: got %d %s, want %d", name, a.code, a.detail, c.code)
			}
		}
		if c.code == 200 && len(w.fetched) != 1 {
			t.Errorf("%s: fetched %d times, want once", name, len(w.fetched))
		}
	}
}

// The file of SNS has its own certificate only: the one between it and the root is had from Amazon, and from nobody else.
func TestAWSFetchesTheIssuerOfACertificate(t *testing.T) {
	for published, code := range map[string]int{issuerURL: 200, "http://crt.evil.example/r2m01.cer": 403, "http://crt.r2m01.amazontrust.com.evil.example/x": 403} {
		w := chainedSNS(t, "sns.amazonaws.com", published)
		format := AWS(Keys{Topics: []string{topic}}, w.fetch, w.roots)
		if a, _ := told(t, []Format{format}, w.post(t, "2", func(*envelope) {})); a.code != code || len(w.fetched) != map[int]int{200: 2, 403: 1}[code] {
			t.Errorf("%s: got %d %s after fetching %v, want %d", published, a.code, a.detail, w.fetched, code)
		}
	}
}

// Plivo's own library agrees, on calls that hold and on those that do not.
func TestPlivoAgreesWithItsOwnValidator(t *testing.T) {
	logrus.SetOutput(io.Discard) // it logs signatures
	for _, query := range []string{"", "?route=nova", "?route=nova&class=otp"} {
		for _, posted := range []url.Values{nil, {"Status": {"sent"}, "MessageUUID": {"p1"}}} {
			method, params := http.MethodGet, map[string]string{}
			if posted != nil {
				method = http.MethodPost
			}
			for name := range posted {
				params[name] = posted.Get(name)
			}
			address := hooks + "/receipts/plivo" + query
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			for _, signature := range []string{plivo.ComputeSignatureV3(secret, address, method, "n1", params), plivo.ComputeSignatureV3("guess", address, method, "n1", params)} {
				header := http.Header{"X-Plivo-Signature-V3": {signature}, "X-Plivo-Signature-V3-Nonce": {"n1"}}
				c := &Call{Method: method, URL: u, Query: u.Query(), Posted: posted, Header: header, Now: now}
				if got, want := keys.plivo(c) == nil, plivo.ValidateSignatureV3(address, "n1", method, signature, secret, params); got != want {
					t.Errorf("%s %s with %v: got %v, the library says %v", method, address, posted, got, want)
				}
			}
		}
	}
}

// What a format says of itself is what lets its calls in without a token: one that is signed takes none without a signature,
// however well it can be read, and one that has no keys does not say that it is.
func TestSignedFormatsTakeNothingUnsigned(t *testing.T) {
	calls := map[string][2]string{ // query and body
		"infobip":     {"?route=acme", `{"results":[{"messageId":"ib-1","status":{"id":5,"groupName":"DELIVERED"}}]}`},
		"jasmin":      {"?route=acme&id=j1&message_status=DELIVRD&level=2", ""},
		"kannel":      {"?route=acme&id=k1&status=1", ""},
		"messagebird": {"?route=acme&id=mb1&status=delivered", ""},
		"plivo":       {"?route=acme", "Status=delivered&MessageUUID=p1"},
		"sinch":       {"?route=acme", `{"batch_id":"01FC","status":"Delivered","code":0}`},
		"telnyx":      {"?route=acme", `{"data":{"event_type":"message.finalized","payload":{"id":"tx-1","to":[{"status":"delivered"}]}}}`},
		"twilio":      {"?route=acme", "MessageSid=SM1&MessageStatus=delivered&From=%2B1"},
		"vonage":      {"?route=acme", `{"message_uuid":"aaaa-1","status":"delivered"}`},
		"aws":         {"?route=acme", `{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"{}"}`},
	}
	fetch := func(context.Context, string) ([]byte, error) {
		return nil, errors.New("nothing is fetched for strangers")
	}
	all := map[string]Keys{}
	for name := range calls {
		all[name] = keys
	}
	for _, tc := range []struct {
		keys   map[string]Keys
		signed bool
	}{{all, true}, {nil, false}} {
		formats := All(tc.keys, fetch)
		if len(formats) != len(calls) {
			t.Fatalf("got %d formats, want a call for each", len(formats))
		}
		h := newHandler(t, Options{Formats: formats})
		for _, f := range formats {
			r := callTo(f.Name, calls[f.Name][0], calls[f.Name][1])
			signed := tc.signed || f.Name == "aws" // nobody but SNS, of the topics that were named
			if f.Signed != signed || h.Signed(r.URL) != signed {
				t.Errorf("%s: says that it is signed: %t, want %t", f.Name, f.Signed, signed)
			}
			answer, lines := told(t, formats, r)
			if signed && (answer.code != http.StatusForbidden || lines != "") {
				t.Errorf("%s: got %d and %q of a call without a signature", f.Name, answer.code, lines)
			}
			if !signed && (answer.code != http.StatusOK || lines == "") {
				t.Errorf("%s: got %d and %q, want a call that can be read", f.Name, answer.code, lines)
			}
		}
	}
}
