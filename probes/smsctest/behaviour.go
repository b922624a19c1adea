package smsctest

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// Values of command_status that the server gives by itself or that are useful in a Behaviour.
const (
	StatusOK            pdu.Status = 0x00
	StatusInvMsgLen     pdu.Status = 0x01
	StatusInvCmdLen     pdu.Status = 0x02
	StatusInvCmdID      pdu.Status = 0x03
	StatusInvBindState  pdu.Status = 0x04
	StatusAlreadyBound  pdu.Status = 0x05
	StatusSysErr        pdu.Status = 0x08
	StatusInvDstAddr    pdu.Status = 0x0B
	StatusBindFail      pdu.Status = 0x0D
	StatusInvPassword   pdu.Status = 0x0E
	StatusInvSystemID   pdu.Status = 0x0F
	StatusQueueFull     pdu.Status = 0x14
	StatusSubmitFail    pdu.Status = 0x45
	StatusInvSystemType pdu.Status = 0x53
	StatusThrottled     pdu.Status = 0x58
)

// Behaviour is how the server treats its clients. The zero Behaviour refuses each message; Healthy is the usual start.
// Shares are 0..1.
type Behaviour struct {
	// BindStatus, when not zero, is what binds are refused with. Sessions that are bound stay so.
	BindStatus pdu.Status
	// IgnoreBind, IgnoreEnquire and IgnoreSubmit leave these requests without any answer.
	IgnoreBind, IgnoreEnquire, IgnoreSubmit bool

	// Accept is the share of messages that are accepted; the others get SubmitStatus.
	Accept float64
	// SubmitStatus is what a message is refused with; zero is StatusSubmitFail.
	SubmitStatus pdu.Status
	// Throughput is how many messages a second are accepted, for all clients together; those above it get
	// StatusThrottled. Zero is no limit.
	Throughput float64

	// Delivered and Failed are the shares of the accepted messages that get such a receipt. The rest get none.
	Delivered, Failed float64
	// FailedAs is the state of a failed message in the words of a receipt; "" is UNDELIV.
	FailedAs string
	// Swallow makes a black hole: messages are accepted as ever, and no receipt ever comes.
	Swallow bool
	// Delay gives the time from a message to its receipt; nil is none. It runs under a lock of the server, with the
	// server's own source of chance.
	Delay func(*rand.Rand) time.Duration
	// ReceiptID gives the id in the receipt of the message that was accepted as id; nil is id itself.
	ReceiptID func(id string) string
}

// Healthy accepts and delivers everything at once.
func Healthy() Behaviour { return Behaviour{Accept: 1, Delivered: 1} }

// LogNormal gives delays of the given median; sigma is the standard deviation of their logarithm, and 0 gives the median
// always.
func LogNormal(median time.Duration, sigma float64) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		d := float64(median) * math.Exp(sigma*r.NormFloat64())
		return time.Duration(min(d, math.MaxInt64/2))
	}
}

// fate is what becomes of one message.
type fate struct {
	status pdu.Status
	stat   string // of the receipt; "" is no receipt
	delay  time.Duration
}

// decide draws the fate of a message that is well formed. Each message draws the same number of times, so that a
// change of the shares leaves the luck of the others alone.
func (b *Behaviour) decide(r *rand.Rand) fate {
	accepted, outcome := r.Float64() < b.Accept, r.Float64()
	var delay time.Duration
	if b.Delay != nil {
		delay = max(0, b.Delay(r))
	}
	if !accepted {
		return fate{status: b.refusal()}
	}
	return fate{stat: b.stat(outcome), delay: delay}
}

func (b *Behaviour) refusal() pdu.Status {
	if b.SubmitStatus == StatusOK {
		return StatusSubmitFail
	}
	return b.SubmitStatus
}

func (b *Behaviour) stat(outcome float64) string {
	switch {
	case b.Swallow:
		return ""
	case outcome < b.Delivered:
		return statDelivered
	case outcome < b.Delivered+b.Failed:
		return b.failure()
	}
	return ""
}

func (b *Behaviour) failure() string {
	if b.FailedAs == "" {
		return statUndelivered
	}
	return b.FailedAs
}

// limiter is a token bucket that holds a tenth of a second's worth, and one message at least.
type limiter struct {
	tokens float64
	last   time.Time
}

func (l *limiter) allow(perSecond float64, now time.Time) bool {
	if perSecond <= 0 {
		return true
	}
	depth := max(1, perSecond/10)
	if l.last.IsZero() {
		l.tokens = depth
	} else {
		l.tokens = min(depth, l.tokens+perSecond*now.Sub(l.last).Seconds())
	}
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
