package smpp

import (
	"errors"
	"fmt"

	"signalbox/probes"
)

// causeOf is a short code for why something failed: those of probes.Cause, and
//
//	0x0000000d   the peer's command_status
//	nack         the peer did not understand (generic_nack)
//	unbound      the peer said goodbye
//	garbage      what came is no SMPP
func causeOf(err error) string {
	var status Status
	switch {
	case errors.Is(err, ErrNacked):
		return "nack"
	case errors.As(err, &status):
		return fmt.Sprintf("0x%08x", uint32(status))
	case errors.Is(err, ErrPeerUnbound):
		return "unbound"
	case errors.Is(err, ErrFraming):
		return "garbage"
	}
	return probes.Cause(err)
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
