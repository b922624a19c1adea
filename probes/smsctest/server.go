// Package smsctest is a small SMSC that speaks SMPP 3.4 over TCP, for tests and demonstrations. It accepts binds and
// messages, sends receipts, and can be told at any moment to behave badly.
package smsctest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// Options is how the server is set up.
type Options struct {
	Addr string      // "" is 127.0.0.1:0
	TLS  *tls.Config // nil is plain TCP
	// SystemID and Password are the one account; an empty SystemID lets everybody in, each as an account of its own.
	SystemID, Password string
	// IDPrefix stands before each message id; "" is one that no other server has had.
	IDPrefix string
	// Seed makes chance repeatable; servers of the same seed draw alike.
	Seed uint64
	// Behaviour is how to start; nil is Healthy.
	Behaviour *Behaviour
	// OnSubmit, when set, is told of each message before it is answered. It is called by several goroutines at once.
	OnSubmit func(Submitted)
}

// Address is one end of a message, as it came.
type Address struct {
	TON, NPI byte
	Number   string
}

// Submitted is a message that a client handed in.
type Submitted struct {
	ID           string // "" where it was refused
	Status       pdu.Status
	SystemID     string
	Source, Dest Address
	Text         []byte
	DataCoding   byte
	Registered   byte // registered_delivery
	At           time.Time
}

// Counters is what has happened since the server began.
type Counters struct {
	Connections, Binds, BindsRefused, Enquires uint64

	Submits   uint64 // all of them: Accepted, Refused, Throttled and those that were ignored
	Accepted  uint64
	Refused   uint64
	Throttled uint64

	Delivered uint64 // receipts sent with DELIVRD
	Failed    uint64 // receipts sent with any other state
	Acked     uint64 // receipts that a client acknowledged
	Waiting   uint64 // receipts not sent yet: not due, or no session to take them
}

// Server is the SMSC. All methods are safe for concurrent use.
type Server struct {
	o         Options
	prefix    string
	listener  net.Listener
	behaviour atomic.Pointer[Behaviour]
	schedule  *schedule
	ids       atomic.Uint64
	count     struct {
		connections, binds, bindsRefused, enquires atomic.Uint64
		submits, accepted, refused, throttled      atomic.Uint64
		delivered, failed, acked                   atomic.Uint64
	}

	chanceMu sync.Mutex // guards chance and limiter
	chance   *rand.Rand
	limiter  limiter

	mu       sync.Mutex            // guards sessions, turn and parked
	sessions []*session            // bound ones, in the order of their binds
	turn     map[string]int        // by system_id: counts the receipts given to its sessions
	parked   map[string][]*receipt // by system_id: receipts that found no session
}

// maxParked is how many receipts wait for a session of one system_id; more are thrown away.
const maxParked = 100_000

// instances tells servers of one process apart.
var instances atomic.Uint64

// New listens at once, so that Addr is known; Run must follow, and closes what New opened.
func New(o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("smsc: %w", err)
	}
	if o.TLS != nil {
		listener = tls.NewListener(listener, o.TLS)
	}
	s := &Server{
		o:        o,
		prefix:   o.IDPrefix,
		listener: listener,
		schedule: newSchedule(),
		chance:   rand.New(rand.NewPCG(o.Seed, 0)),
		turn:     map[string]int{},
		parked:   map[string][]*receipt{},
	}
	if s.prefix == "" {
		s.prefix = strconv.FormatInt(time.Now().UnixMilli(), 36) + strconv.FormatUint(instances.Add(1), 36) + "-"
	}
	b := Healthy()
	if o.Behaviour != nil {
		b = *o.Behaviour
	}
	s.SetBehaviour(b)
	return s, nil
}

// Addr is where the server listens, such as 127.0.0.1:2775.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SetBehaviour changes how the server behaves from now on. Receipts that are on their way keep their fate.
func (s *Server) SetBehaviour(b Behaviour) { s.behaviour.Store(&b) }

// Behaviour is how the server behaves now.
func (s *Server) Behaviour() Behaviour { return *s.behaviour.Load() }

// Counters is what has happened so far.
func (s *Server) Counters() Counters {
	c := &s.count
	return Counters{
		Connections:  c.connections.Load(),
		Binds:        c.binds.Load(),
		BindsRefused: c.bindsRefused.Load(),
		Enquires:     c.enquires.Load(),
		Submits:      c.submits.Load(),
		Accepted:     c.accepted.Load(),
		Refused:      c.refused.Load(),
		Throttled:    c.throttled.Load(),
		Delivered:    c.delivered.Load(),
		Failed:       c.failed.Load(),
		Acked:        c.acked.Load(),
		Waiting:      uint64(s.schedule.len() + s.parkedLen()),
	}
}

// Run serves until ctx is done, and returns when all its goroutines are gone.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.schedule.run(ctx, s.dispatch) })
	for {
		conn, err := s.listener.Accept()
		if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			s.listener.Close()
			return fmt.Errorf("smsc: accept: %w", err)
		}
		s.count.connections.Add(1)
		running.Go(func() { newSession(s, conn).serve(ctx) })
	}
}

// Unbind sends an unbind to each bound session, and says to how many.
func (s *Server) Unbind() int {
	return s.each(func(c *session) { c.send(encode(pdu.UnbindID, StatusOK, c.nextSeq(), nil)) })
}

// Drop closes each bound session's connection without a word, and says how many.
func (s *Server) Drop() int {
	return s.each(func(c *session) { c.conn.Close() })
}

// Inject writes octets as they are to each bound session, and says to how many.
func (s *Server) Inject(octets []byte) int {
	return s.each(func(c *session) { c.send(slices.Clone(octets)) })
}

func (s *Server) each(do func(*session)) int {
	s.mu.Lock()
	bound := slices.Clone(s.sessions)
	s.mu.Unlock()
	for _, c := range bound {
		do(c)
	}
	return len(bound)
}

// join makes a session known. It comes before the answer to the bind, so that a client that has it finds itself counted.
func (s *Server) join(c *session) {
	s.count.binds.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = append(s.sessions, c)
}

// open lets receipts go to a session, beginning with those that waited for one. It comes after the answer to the bind.
func (s *Server) open(c *session) {
	s.mu.Lock()
	c.receives = true
	waited := s.parked[c.systemID]
	delete(s.parked, c.systemID)
	s.mu.Unlock()
	if len(waited) > 0 {
		s.schedule.add(waited...)
	}
}

// leave forgets a session and takes over the receipts that its client has not acknowledged.
func (s *Server) leave(c *session) {
	s.mu.Lock()
	s.sessions = slices.DeleteFunc(s.sessions, func(other *session) bool { return other == c })
	s.mu.Unlock()
	if left := c.unacknowledged(); len(left) > 0 {
		s.schedule.add(left...)
	}
}

// retry is how long a receipt waits when its session cannot take more.
const retry = 20 * time.Millisecond

// dispatch gives a receipt to the sessions of its system_id in turn, or parks it where there is none.
func (s *Server) dispatch(r *receipt) {
	c := s.receiver(r)
	if c == nil {
		return
	}
	if !c.deliver(r) {
		r.due = time.Now().Add(retry)
		s.schedule.add(r)
		return
	}
	if r.stat == statDelivered {
		s.count.delivered.Add(1)
	} else {
		s.count.failed.Add(1)
	}
}

// receiver is the session for r; where there is none, r has been parked.
func (s *Server) receiver(r *receipt) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var candidates []*session
	for _, c := range s.sessions {
		if c.receives && c.systemID == r.systemID {
			candidates = append(candidates, c)
		}
	}
	if len(candidates) == 0 {
		if len(s.parked[r.systemID]) < maxParked {
			s.parked[r.systemID] = append(s.parked[r.systemID], r)
		}
		return nil
	}
	s.turn[r.systemID]++
	return candidates[s.turn[r.systemID]%len(candidates)]
}

func (s *Server) parkedLen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, waiting := range s.parked {
		n += len(waiting)
	}
	return n
}

// decide draws the fate of a message.
func (s *Server) decide(b *Behaviour, now time.Time) fate {
	s.chanceMu.Lock()
	defer s.chanceMu.Unlock()
	if !s.limiter.allow(b.Throughput, now) {
		return fate{status: StatusThrottled}
	}
	return b.decide(s.chance)
}

func (s *Server) nextID() string {
	return s.prefix + strconv.FormatUint(s.ids.Add(1), 10)
}
