package smsctest

import (
	"container/heap"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// States in the words of a receipt.
const (
	statDelivered   = "DELIVRD"
	statUndelivered = "UNDELIV"
)

// outcome is how a state looks in the other fields of a receipt.
type outcome struct {
	state byte   // message_state
	code  uint16 // err, and the code of network_error_code
}

var outcomes = map[string]outcome{
	"ENROUTE":       {1, 0},
	statDelivered:   {2, 0},
	"EXPIRED":       {3, 27},
	"DELETED":       {4, 1},
	statUndelivered: {5, 11},
	"ACCEPTD":       {6, 0},
	"UNKNOWN":       {7, 255},
	"REJECTD":       {8, 8},
}

// receipt is a receipt on its way.
type receipt struct {
	systemID     string
	id, stat     string
	source, dest Address // of the message; the receipt goes the other way round
	quote        string  // the first characters of the message
	submitted    time.Time
	due          time.Time
}

const (
	esmReceipt = 0x04
	dateLayout = "0601021504"
	quoteLen   = 20
	gsmNetwork = 3
)

func (r *receipt) encode(seq uint32, now time.Time) []byte {
	o := outcomes[r.stat]
	delivered := 0
	if r.stat == statDelivered {
		delivered = 1
	}
	text := fmt.Sprintf("id:%s sub:001 dlvrd:%03d submit date:%s done date:%s stat:%s err:%03d text:%s",
		r.id, delivered, r.submitted.Format(dateLayout), now.Format(dateLayout), r.stat, o.code, r.quote)
	return encodeDeliver(seq, r.dest, r.source, esmReceipt, text,
		tlv(pdutlv.TagReceiptedMessageID, cstring(r.id)),
		tlv(pdutlv.TagMessageStateOption, []byte{o.state}),
		tlv(pdutlv.TagNetworkErrorCode, []byte{gsmNetwork, byte(o.code >> 8), byte(o.code)}))
}

// quote is what a receipt repeats of a text.
func quote(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(text[:min(len(text), quoteLen)]))
}

// schedule holds receipts until they are due.
type schedule struct {
	wake chan struct{} // has room for one

	mu    sync.Mutex // guards queue
	queue receiptHeap
}

func newSchedule() *schedule { return &schedule{wake: make(chan struct{}, 1)} }

func (s *schedule) add(rs ...*receipt) {
	s.mu.Lock()
	for _, r := range rs {
		heap.Push(&s.queue, r)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *schedule) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// due takes out what is due at now, and says how long the next one has to wait.
func (s *schedule) due(now time.Time) (due []*receipt, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		if wait := s.queue[0].due.Sub(now); wait > 0 {
			return due, wait
		}
		due = append(due, heap.Pop(&s.queue).(*receipt))
	}
	return due, time.Hour
}

// run hands each receipt to dispatch when it is due, until ctx is done.
func (s *schedule) run(ctx context.Context, dispatch func(*receipt)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := s.due(time.Now())
		for _, r := range due {
			dispatch(r)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

// receiptHeap is ordered by due.
type receiptHeap []*receipt

func (h receiptHeap) Len() int           { return len(h) }
func (h receiptHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h receiptHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *receiptHeap) Push(r any) { *h = append(*h, r.(*receipt)) }

// Pop implements heap.Interface.
func (h *receiptHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
