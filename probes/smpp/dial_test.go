package smpp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"signalbox/probes/smsctest"
)

func TestDialSaysWhichPhaseFailed(t *testing.T) {
	account := smsctest.Options{SystemID: "prober", Password: "secret"}
	withBehaviour := func(b smsctest.Behaviour) func(*testing.T) string {
		return func(t *testing.T) string { return startSMSC(t, smsctest.Options{Behaviour: &b}).Addr() }
	}
	script := func(play func(*peer)) func(*testing.T) string {
		return func(t *testing.T) string { return startPeer(t, play) }
	}
	tests := []struct {
		name   string
		addr   func(*testing.T) string
		edit   func(*Options)
		phase  Phase
		status Status
		is     error
	}{
		{name: "nobody listens", addr: closedPort, phase: PhaseTCP},
		{
			name: "wrong password", addr: func(t *testing.T) string { return startSMSC(t, account).Addr() },
			edit: func(o *Options) { o.Password = "other" }, phase: PhaseBind, status: StatusInvPassword, is: StatusInvPassword,
		},
		{
			name: "wrong system_id", addr: func(t *testing.T) string { return startSMSC(t, account).Addr() },
			edit: func(o *Options) { o.SystemID = "other" }, phase: PhaseBind, status: StatusInvSystemID, is: StatusInvSystemID,
		},
		{
			name: "bind limit", addr: withBehaviour(smsctest.Behaviour{BindStatus: smsctest.StatusAlreadyBound}),
			phase: PhaseBind, status: StatusAlreadyBound, is: StatusAlreadyBound,
		},
		{
			name: "bind unanswered", addr: withBehaviour(smsctest.Behaviour{IgnoreBind: true}),
			edit: short, phase: PhaseBind, is: context.DeadlineExceeded,
		},
		{name: "hung up on the bind", addr: script(func(p *peer) { p.read() }), phase: PhaseBind},
		{
			name: "no SMPP", addr: script(func(p *peer) { p.write([]byte("SSH-2.0-OpenSSH_9.2\r\n")); p.linger() }),
			phase: PhaseBind, is: ErrFraming,
		},
		{
			name: "bind not understood", addr: script(func(p *peer) {
				f := p.read()
				p.write(encodeFrame(0x80000000, StatusInvCmdID, f.seq))
				p.linger()
			}), phase: PhaseBind, status: StatusInvCmdID, is: ErrNacked,
		},
		{
			name: "handshake unanswered", addr: script(func(p *peer) { io.Copy(io.Discard, p.in) }),
			edit: func(o *Options) { o.TLS = &tls.Config{}; short(o) }, phase: PhaseTLS, is: context.DeadlineExceeded,
		},
		{
			name: "no TLS there", addr: withBehaviour(smsctest.Healthy()),
			edit: func(o *Options) { o.TLS = &tls.Config{} }, phase: PhaseTLS,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leavesNoGoroutine(t)
			o := options(test.addr(t))
			if test.edit != nil {
				test.edit(&o)
			}
			_, err := Dial(within(t, patience), o)
			wantPhase(t, err, test.phase, test.status)
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %v in it", err, test.is)
			}
		})
	}
}

func short(o *Options) { o.DialTimeout = moment }

func wantPhase(t *testing.T, err error, phase Phase, status Status) {
	t.Helper()
	var got *PhaseError
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a PhaseError", err)
	}
	if got.Phase != phase || got.Status != status {
		t.Errorf("got phase %s status %v, want %s %v (%v)", got.Phase, got.Status, phase, status, err)
	}
	if !strings.HasPrefix(got.Error(), string(phase)+": ") {
		t.Errorf("got %q, want the phase in front", got.Error())
	}
}

// closedPort is an address where nobody listens any more.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestDialRefusesImpossibleOptions(t *testing.T) {
	tests := map[string]Options{
		"NUL in the password":  {Password: "a\x00b"},
		"long system_id":       {SystemID: strings.Repeat("x", 65)},
		"long system_type":     {SystemType: strings.Repeat("x", 13)},
		"unknown bind":         {Bind: 3},
		"negative timeout":     {DialTimeout: -1},
		"negative buffer size": {DeliveryBuffer: -1},
	}
	for name, o := range tests {
		if _, err := Dial(context.Background(), o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, ErrInvalid)
		}
	}
}

func TestEachBind(t *testing.T) {
	leavesNoGoroutine(t)
	smsc := startSMSC(t, smsctest.Options{})
	tests := []struct {
		bind   Bind
		name   string
		submit Status
	}{
		{Transmitter, "transmitter", StatusOK},
		{Receiver, "receiver", StatusInvBindState},
		{Transceiver, "transceiver", StatusOK},
	}
	for _, test := range tests {
		if got := test.bind.String(); got != test.name {
			t.Errorf("name: got %s, want %s", got, test.name)
		}
		o := options(smsc.Addr())
		o.Bind = test.bind
		s := dial(t, o)
		_, err := s.Submit(within(t, patience), message("hello"))
		var status Status
		errors.As(err, &status)
		if status != test.submit {
			t.Errorf("submit as %s: got %v, want %v", test.name, err, test.submit)
		}
		if err := s.Unbind(within(t, patience)); err != nil {
			t.Errorf("unbind as %s: %v", test.name, err)
		}
	}
}

func TestTLS(t *testing.T) {
	certificate, roots := selfSigned(t, "smsc.example", net.IPv4(127, 0, 0, 1))
	tests := []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"server name given", &tls.Config{RootCAs: roots, ServerName: "smsc.example"}, true},
		{"server name from the address", &tls.Config{RootCAs: roots}, true},
		{"another server name", &tls.Config{RootCAs: roots, ServerName: "other.example"}, false},
		{"unknown authority", &tls.Config{ServerName: "smsc.example"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leavesNoGoroutine(t)
			smsc := startSMSC(t, smsctest.Options{TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}})
			o := options(smsc.Addr())
			o.TLS = test.config
			s, err := Dial(within(t, patience), o)
			if !test.ok {
				wantPhase(t, err, PhaseTLS, StatusOK)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			submit(t, s)
			nextDelivery(t, s)
			if err := s.Unbind(within(t, patience)); err != nil || s.Timing().TLS <= 0 {
				t.Errorf("unbind: %v; timing: %+v", err, s.Timing())
			}
		})
	}
}

// selfSigned makes a certificate and the pool that trusts it.
func selfSigned(t *testing.T, name string, ip net.IP) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		IPAddresses:           []net.IP{ip},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
