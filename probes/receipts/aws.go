package receipts

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"signalbox/rules/route"
)

// Fetch gets the body of a URL, of at most 64 KiB.
type Fetch func(ctx context.Context, url string) ([]byte, error)

// AWS reads the events of AWS End User Messaging as SNS posts them to an HTTPS endpoint. Messages are checked by the signature
// that each has, against a certificate of SNS; they and subscriptions are taken only of the topics that Keys name, because
// anybody can make SNS sign a message of a topic of his own. Without topics nothing is taken.
func AWS(k Keys, fetch Fetch, roots *x509.CertPool) Format {
	s := &sns{keys: k, fetch: fetch, roots: roots, known: map[string]*rsa.PublicKey{}}
	return Format{Name: "aws", Methods: []string{http.MethodPost}, Signed: true, Check: s.check, Read: readAWS}
}

// envelope is what SNS posts.
type envelope struct {
	Type, MessageID, Token, TopicArn, Subject, Message, Timestamp string
	SignatureVersion, Signature, SigningCertURL, SubscribeURL     string
}

// sns checks what SNS posts.
type sns struct {
	keys  Keys
	fetch Fetch
	roots *x509.CertPool // nil: the system's

	mu    sync.Mutex // guards known; not held over fetching
	known map[string]*rsa.PublicKey
}

// certificatesMost is how many certificates are kept: SNS has one or two in a region.
const certificatesMost = 64

// snsHost are the hosts that certificates and confirmations come from.
var snsHost = regexp.MustCompile(`^sns\.[a-z0-9-]{3,30}\.amazonaws\.com(\.cn)?$`)

func ofSNS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.User == nil && u.Port() == "" && snsHost.MatchString(u.Host)
}

// check verifies a message, and confirms a subscription to a topic that is taken.
func (s *sns) check(ctx context.Context, c *Call) error {
	var e envelope
	if err := readJSON(c, &e); err != nil {
		return err
	}
	if !slices.Contains(s.keys.Topics, e.TopicArn) {
		return ErrSignature
	}
	key, err := s.key(ctx, e.SigningCertURL)
	if err != nil {
		return err
	}
	if !e.signedBy(key) {
		return ErrSignature
	}
	if e.Type != "SubscriptionConfirmation" {
		return nil
	}
	if !ofSNS(e.SubscribeURL) {
		return ErrSignature
	}
	if _, err := s.fetch(ctx, e.SubscribeURL); err != nil {
		return fmt.Errorf("confirm the subscription: %w", err)
	}
	return nil
}

// key is the public key of a certificate of SNS.
func (s *sns) key(ctx context.Context, address string) (*rsa.PublicKey, error) {
	if !ofSNS(address) || !strings.HasSuffix(address, ".pem") {
		return nil, ErrSignature
	}
	s.mu.Lock()
	key := s.known[address]
	s.mu.Unlock()
	if key != nil {
		return key, nil
	}
	data, err := s.fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%w: fetch the certificate: %w", errUnchecked, err)
	}
	if key, err = s.trusted(ctx, data); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) < certificatesMost {
		s.known[address] = key
	}
	return key, nil
}

// errUnchecked is a call that could not be checked now: the provider is to call again.
var errUnchecked = errors.New("the signature cannot be checked now")

// trusted is the key of a certificate that a root of ours vouches for and that is SNS's. The file has no intermediate
// certificates; they are fetched from where it says its issuer's is, if that is Amazon's.
func (s *sns) trusted(ctx context.Context, data []byte) (*rsa.PublicKey, error) {
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, ErrSignature
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, ErrSignature
	}
	between := x509.NewCertPool()
	between.AppendCertsFromPEM(rest)
	o := x509.VerifyOptions{DNSName: "sns.amazonaws.com", Roots: s.roots, Intermediates: between}
	_, err = certificate.Verify(o)
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		if err := s.issuers(ctx, certificate, between); err != nil {
			return nil, err
		}
		_, err = certificate.Verify(o)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, ErrSignature
	}
	return key, nil
}

// issuersMost is how many intermediate certificates are fetched for one: Amazon's chains have one or two.
const issuersMost = 3

// amazonTrust is where Amazon publishes certificates of its issuers. Whatever comes from there is trusted only as far as a
// root of ours vouches for it.
var amazonTrust = regexp.MustCompile(`^http://crt\.[a-z0-9-]{2,20}\.amazontrust\.com/[A-Za-z0-9._-]{1,60}$`)

// issuers fetches the certificates above one, step by step.
func (s *sns) issuers(ctx context.Context, c *x509.Certificate, into *x509.CertPool) error {
	for range issuersMost {
		at := slices.IndexFunc(c.IssuingCertificateURL, amazonTrust.MatchString)
		if at < 0 {
			return nil
		}
		data, err := s.fetch(ctx, c.IssuingCertificateURL[at])
		if err != nil {
			return fmt.Errorf("%w: fetch the issuer's certificate: %w", errUnchecked, err)
		}
		if block, _ := pem.Decode(data); block != nil {
			data = block.Bytes
		}
		if c, err = x509.ParseCertificate(data); err != nil {
			return nil // it vouches for nothing
		}
		into.AddCert(c)
	}
	return nil
}

// signedBy checks the signature over the fields that SNS signs, by their names in order, each on a line with its value.
func (e *envelope) signedBy(key *rsa.PublicKey) bool {
	fields := []string{"Message", e.Message, "MessageId", e.MessageID}
	switch e.Type {
	case "Notification":
		if e.Subject != "" {
			fields = append(fields, "Subject", e.Subject)
		}
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
		fields = append(fields, "SubscribeURL", e.SubscribeURL)
	default:
		return false
	}
	fields = append(fields, "Timestamp", e.Timestamp)
	if e.Type != "Notification" {
		fields = append(fields, "Token", e.Token)
	}
	fields = append(fields, "TopicArn", e.TopicArn, "Type", e.Type)
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		return false
	}
	text := []byte(strings.Join(fields, "\n") + "\n")
	if e.SignatureVersion == "2" {
		hash := sha256.Sum256(text)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil
	}
	hash := sha1.Sum(text)
	return e.SignatureVersion == "1" && rsa.VerifyPKCS1v15(key, crypto.SHA1, hash[:], signature) == nil
}

// readAWS reads the event in a notification; what else SNS posts says nothing.
func readAWS(c *Call) ([]route.Observation, error) {
	var e envelope
	if err := readJSON(c, &e); err != nil {
		return nil, err
	}
	if e.Type != "Notification" {
		return nil, nil
	}
	var event struct {
		EventType string `json:"eventType"`
		MessageID string `json:"messageId"`
		IsFinal   bool   `json:"isFinal"`
	}
	if err := json.Unmarshal([]byte(e.Message), &event); err != nil {
		return nil, errors.New("field Message: want the JSON of an event")
	}
	if !strings.HasPrefix(event.EventType, "TEXT_") {
		return nil, nil // of voice or media
	}
	word := strings.ToLower(strings.TrimPrefix(event.EventType, "TEXT_"))
	status := awsWords.status(word)
	if status.Final() && !event.IsFinal {
		status = route.StatusEnroute
	}
	return c.one(event.MessageID, status, strings.ToUpper(word))
}

// SUCCESSFUL and DELIVERED are the same, by country.
var awsWords = words{
	"queued": route.StatusAccepted, "pending": route.StatusAccepted, "sent": route.StatusEnroute,
	"successful": route.StatusDelivered, "delivered": route.StatusDelivered,
	"invalid": route.StatusFailed, "invalid_message": route.StatusFailed, "unreachable": route.StatusFailed, "carrier_unreachable": route.StatusFailed,
	"blocked": route.StatusRejected, "carrier_blocked": route.StatusRejected, "spam": route.StatusRejected, "protect_blocked": route.StatusRejected,
	"ttl_expired": route.StatusExpired,
}
