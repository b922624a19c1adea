package smsctest

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

const (
	outBuffer    = 1024             // frames that may wait to be written to one client
	maxUnacked   = 10_000           // receipts that one client may leave unacknowledged
	writeTimeout = 10 * time.Second // for a client that does not read
	batch        = 32 << 10         // octets put together into one write
)

// systemName is the server's own system_id.
const systemName = "smsctest"

// session is one client's connection.
type session struct {
	server *Server
	conn   net.Conn
	out    chan []byte
	done   chan struct{}

	// Set by the bind, before the session is known to the server, and never again.
	bound, transmits bool
	systemID         string

	receives bool // guarded by the server's mu

	mu      sync.Mutex // guards seq, unacked and ended
	seq     uint32
	unacked map[uint32]*receipt
	ended   bool
}

func newSession(s *Server, conn net.Conn) *session {
	return &session{
		server:  s,
		conn:    conn,
		out:     make(chan []byte, outBuffer),
		done:    make(chan struct{}),
		unacked: map[uint32]*receipt{},
	}
}

// serve lives as long as the connection, and at most until ctx is done.
func (c *session) serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	var writing sync.WaitGroup
	writing.Go(c.writeLoop)
	c.readLoop()
	close(c.done)
	writing.Wait()
	c.conn.Close()
	if c.bound {
		c.server.leave(c)
	}
}

func (c *session) readLoop() {
	in := bufio.NewReader(c.conn)
	for {
		f, err := readFrame(in)
		if bad := new(lengthError); errors.As(err, &bad) {
			c.send(encode(pdu.GenericNACKID, StatusInvCmdLen, bad.seq, nil))
		}
		if err != nil || !c.handle(f) {
			return
		}
	}
}

// writeLoop writes what waits in one go. Once the session is done it writes the rest, such as the answer to an unbind.
func (c *session) writeLoop() {
	for {
		var octets []byte
		select {
		case octets = <-c.out:
		case <-c.done:
			c.write(c.gather(nil))
			return
		}
		if !c.write(c.gather(octets)) {
			c.conn.Close()
			return
		}
	}
}

func (c *session) gather(octets []byte) []byte {
	for len(octets) < batch {
		select {
		case more := <-c.out:
			octets = append(octets, more...)
		default:
			return octets
		}
	}
	return octets
}

func (c *session) write(octets []byte) bool {
	if len(octets) == 0 {
		return true
	}
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.conn.Write(octets)
	return err == nil
}

// send waits where the client does not read; the writer then closes the connection after a while.
func (c *session) send(octets []byte) {
	select {
	case c.out <- octets:
	case <-c.done:
	}
}

func (c *session) nextSeq() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nextSeqLocked()
}

func (c *session) nextSeqLocked() uint32 {
	c.seq = c.seq%0x7FFFFFFF + 1
	return c.seq
}

// deliver sends a receipt unless the client is behind.
func (c *session) deliver(r *receipt) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.unacked) >= maxUnacked {
		return false
	}
	seq := c.nextSeqLocked()
	select {
	case c.out <- r.encode(seq, time.Now()):
		c.unacked[seq] = r
		return true
	default:
		return false
	}
}

func (c *session) acknowledge(seq uint32) {
	c.mu.Lock()
	_, ok := c.unacked[seq]
	delete(c.unacked, seq)
	c.mu.Unlock()
	if ok {
		c.server.count.acked.Add(1)
	}
}

// unacknowledged ends the session for receipts, and gives those that the client may not have.
func (c *session) unacknowledged() []*receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	left := make([]*receipt, 0, len(c.unacked))
	for _, r := range c.unacked {
		left = append(left, r)
	}
	c.unacked = nil
	return left
}

// handle answers one PDU; false ends the session.
func (c *session) handle(f frame) bool {
	switch f.id {
	case pdu.BindTransmitterID, pdu.BindReceiverID, pdu.BindTransceiverID:
		return c.bind(f)
	case pdu.UnbindID:
		c.answer(f, StatusOK, nil)
		return false
	case pdu.UnbindRespID:
		return false
	case pdu.EnquireLinkID:
		c.server.count.enquires.Add(1)
		if !c.server.behaviour.Load().IgnoreEnquire {
			c.answer(f, StatusOK, nil)
		}
	case pdu.SubmitSMID:
		c.submit(f)
	case pdu.DeliverSMRespID:
		c.acknowledge(f.seq)
	default:
		if f.id&responseBit == 0 {
			c.send(encode(pdu.GenericNACKID, StatusInvCmdID, f.seq, nil))
		}
	}
	return true
}

func (c *session) answer(f frame, status pdu.Status, body []byte) {
	c.send(encode(f.id|responseBit, status, f.seq, body))
}

// bind lets a client in; a refused one has to go.
func (c *session) bind(f frame) bool {
	b := c.server.behaviour.Load()
	if b.IgnoreBind {
		return true
	}
	if c.bound {
		c.answer(f, StatusAlreadyBound, nil)
		return true
	}
	systemID, status := c.server.admit(f)
	if b.BindStatus != StatusOK {
		status = b.BindStatus
	}
	if status != StatusOK {
		c.server.count.bindsRefused.Add(1)
		c.answer(f, status, nil)
		return false
	}
	c.bound, c.systemID = true, systemID
	c.transmits = f.id != pdu.BindReceiverID
	c.server.join(c)
	const scInterfaceVersion pdutlv.Tag = 0x0210
	c.answer(f, StatusOK, append(cstring(systemName), tlv(scInterfaceVersion, []byte{0x34})...))
	if f.id != pdu.BindTransmitterID {
		c.server.open(c)
	}
	return true
}

// admit checks the account.
func (s *Server) admit(f frame) (systemID string, status pdu.Status) {
	p, err := decode(f)
	if err != nil {
		return "", StatusBindFail
	}
	systemID, _ = text(p, pdufield.SystemID)
	password, _ := text(p, pdufield.Password)
	if s.o.SystemID == "" {
		return systemID, StatusOK
	}
	if systemID != s.o.SystemID {
		return "", StatusInvSystemID
	}
	if password != s.o.Password {
		return "", StatusInvPassword
	}
	return systemID, StatusOK
}

func (c *session) submit(f frame) {
	if !c.transmits {
		c.answer(f, StatusInvBindState, nil)
		return
	}
	s, b := c.server, c.server.behaviour.Load()
	s.count.submits.Add(1)
	if b.IgnoreSubmit {
		return
	}
	m, status := parseSubmit(f)
	m.SystemID, m.At = c.systemID, time.Now()
	fate := fate{status: status}
	if status == StatusOK {
		fate = s.decide(b, m.At)
	}
	m.Status = fate.status
	if m.Status == StatusOK {
		m.ID = s.nextID()
	}
	s.countSubmit(m.Status)
	if s.o.OnSubmit != nil {
		s.o.OnSubmit(m)
	}
	if m.Status != StatusOK {
		c.answer(f, m.Status, nil)
		return
	}
	c.answer(f, StatusOK, cstring(m.ID))
	if wantsReceipt(m.Registered, fate.stat) {
		s.schedule.add(newReceipt(m, b, fate))
	}
}

func (s *Server) countSubmit(status pdu.Status) {
	switch status {
	case StatusOK:
		s.count.accepted.Add(1)
	case StatusThrottled:
		s.count.throttled.Add(1)
	default:
		s.count.refused.Add(1)
	}
}

// wantsReceipt reads the two lowest bits of registered_delivery: 1 asks for every final outcome, 2 for failures.
func wantsReceipt(registered byte, stat string) bool {
	switch registered & 3 {
	case 1:
		return stat != ""
	case 2:
		return stat != "" && stat != statDelivered
	}
	return false
}

func newReceipt(m Submitted, b *Behaviour, f fate) *receipt {
	r := &receipt{
		systemID:  m.SystemID,
		id:        m.ID,
		stat:      f.stat,
		source:    m.Source,
		dest:      m.Dest,
		quote:     quote(m.Text),
		submitted: m.At,
		due:       m.At.Add(f.delay),
	}
	if b.ReceiptID != nil {
		r.id = b.ReceiptID(m.ID)
	}
	return r
}

// parseSubmit reads a submit_sm, and says what is wrong with it.
func parseSubmit(f frame) (Submitted, pdu.Status) {
	p, err := decode(f)
	if err != nil {
		return Submitted{}, StatusInvMsgLen
	}
	m := Submitted{
		DataCoding: octet(p, pdufield.DataCoding),
		Registered: octet(p, pdufield.RegisteredDelivery),
	}
	m.Source = Address{TON: octet(p, pdufield.SourceAddrTON), NPI: octet(p, pdufield.SourceAddrNPI)}
	m.Source.Number, _ = text(p, pdufield.SourceAddr)
	m.Dest = Address{TON: octet(p, pdufield.DestAddrTON), NPI: octet(p, pdufield.DestAddrNPI)}
	m.Dest.Number, _ = text(p, pdufield.DestinationAddr)
	body := p.Fields()[pdufield.ShortMessage]
	if body == nil {
		return m, StatusInvCmdLen
	}
	m.Text = body.Bytes()
	if payload := p.TLVFields()[pdutlv.TagMessagePayload]; payload != nil && len(m.Text) == 0 {
		m.Text = payload.Bytes()
	}
	if m.Dest.Number == "" {
		return m, StatusInvDstAddr
	}
	return m, StatusOK
}
