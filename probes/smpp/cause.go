package smpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// causeOf is a short code for why something failed: the peer's command_status where it gave one, else a word.
//
//	0x0000000d   the peer's command_status
//	timeout      nothing came in time
//	refused      nobody listens there
//	unreachable  there is no way there
//	dns          the name is not known
//	certificate  the peer's certificate is not good
//	tls          the peer does not speak TLS as it should
//	nack         the peer did not understand (generic_nack)
//	unbound      the peer said goodbye
//	closed       the peer hung up
//	garbage      what came is no SMPP
func causeOf(err error) string {
	var status Status
	var name *net.DNSError
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, ErrNacked):
		return "nack"
	case errors.As(err, &status):
		return fmt.Sprintf("0x%08x", uint32(status))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &certificate), errors.As(err, &unknown):
		return "certificate"
	case errors.As(err, &record), errors.As(err, &alert):
		return "tls"
	case errors.As(err, &name):
		if name.IsTimeout {
			return "timeout"
		}
		return "dns"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	}
	return endCode(err)
}

// endCode is the same for why a session ended.
func endCode(err error) string {
	switch {
	case errors.Is(err, ErrPeerUnbound):
		return "unbound"
	case errors.Is(err, ErrFraming):
		return "garbage"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return "error"
}

// phaseSaid says in words why a phase of a bind failed that the peer did not refuse.
func phaseSaid(p Phase, code, said string) string {
	switch {
	case code == "timeout" && p == PhaseTCP:
		return "nothing answers at the address"
	case code == "timeout" && p == PhaseTLS:
		return "the peer does not go on with the TLS handshake"
	case code == "timeout":
		return "the bind is not answered"
	case code == "refused":
		return "nobody listens at the address"
	case code == "closed":
		return "the peer hung up"
	}
	return said
}
