package smpp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fiorix/go-smpp/smpp/encoding"
	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
)

// ErrInvalid says that a request was not sent, because its PDU would be malformed.
var ErrInvalid = errors.New("invalid request")

// Limits of the fields of submit_sm, in octets without the closing NUL.
const (
	maxText        = 254
	maxAddress     = 20
	maxServiceType = 5
	maxValidity    = 30 * 24 * time.Hour
)

// Address is one end of a message. TON and NPI are the protocol's type of number and numbering plan; zero is unknown.
type Address struct {
	TON, NPI byte
	Number   string
}

// AddressOf gives addr the type and plan that most SMSCs expect: international for "+" and digits (the plus is left
// out), alphanumeric for a name, unknown for other digits such as a short code.
func AddressOf(addr string) Address {
	digits, plus := strings.CutPrefix(addr, "+")
	switch {
	case strings.Trim(digits, "0123456789") != "":
		return Address{TON: 5, Number: addr}
	case plus:
		return Address{TON: 1, NPI: 1, Number: digits}
	}
	return Address{NPI: 1, Number: addr}
}

// Register asks the SMSC for receipts (registered_delivery).
type Register uint8

// What receipts to ask for; none is the default.
const (
	RegisterNone    Register = 0
	RegisterFinal   Register = 1 // one receipt on the final outcome, good or bad
	RegisterFailure Register = 2 // one receipt on failure only
)

// ShortMessage is what Submit sends.
type ShortMessage struct {
	Source, Dest Address
	ServiceType  string // at most 5 octets; "" is the SMSC's default
	Text         []byte // at most 254 octets, in the alphabet of DataCoding; EncodeText makes both
	DataCoding   byte
	ESMClass     byte
	Register     Register
	Validity     time.Duration // how long the SMSC may try, at most 30 days; 0 is the SMSC's default
}

// EncodeText gives the octets and the data_coding of text: the GSM 7-bit alphabet, one character per octet, where it
// has all of the characters, and UCS-2 otherwise.
func EncodeText(text string) (octets []byte, dataCoding byte) {
	if len(encoding.ValidateGSM7String(text)) == 0 {
		return pdutext.GSM7(text).Encode(), byte(pdutext.DefaultType)
	}
	return pdutext.UCS2(text).Encode(), byte(pdutext.UCS2Type)
}

// validate refuses what the codec would turn into a malformed PDU: lengths that wrap, and NULs that shift fields.
func (m ShortMessage) validate() error {
	if len(m.Text) > maxText {
		return invalid("text", fmt.Sprintf("at most %d octets", maxText), len(m.Text))
	}
	if m.Dest.Number == "" {
		return invalid("destination address", "at least 1 octet", 0)
	}
	if m.Validity < 0 || m.Validity > maxValidity {
		return fmt.Errorf("%w: validity: want 0 to %s, got %s", ErrInvalid, maxValidity, m.Validity)
	}
	return errors.Join(
		checkCString("destination address", m.Dest.Number, maxAddress),
		checkCString("source address", m.Source.Number, maxAddress),
		checkCString("service type", m.ServiceType, maxServiceType),
	)
}

func checkCString(field, value string, limit int) error {
	if len(value) > limit {
		return invalid(field, fmt.Sprintf("at most %d octets", limit), len(value))
	}
	if strings.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("%w: %s: want no NUL inside", ErrInvalid, field)
	}
	return nil
}

func invalid(field, want string, got int) error {
	return fmt.Errorf("%w: %s: want %s, got %d", ErrInvalid, field, want, got)
}

func (m ShortMessage) encode(seq uint32) ([]byte, error) {
	p := pdu.NewSubmitSM(nil)
	err := setFields(p.Fields(), []fieldValue{
		{pdufield.ServiceType, m.ServiceType},
		{pdufield.SourceAddrTON, m.Source.TON},
		{pdufield.SourceAddrNPI, m.Source.NPI},
		{pdufield.SourceAddr, m.Source.Number},
		{pdufield.DestAddrTON, m.Dest.TON},
		{pdufield.DestAddrNPI, m.Dest.NPI},
		{pdufield.DestinationAddr, m.Dest.Number},
		{pdufield.ESMClass, m.ESMClass},
		{pdufield.ValidityPeriod, relativeTime(m.Validity)},
		{pdufield.RegisteredDelivery, uint8(m.Register)},
		{pdufield.DataCoding, m.DataCoding},
		{pdufield.ShortMessage, m.Text},
	})
	if err != nil {
		return nil, err
	}
	return encodePDU(p, seq)
}

// fieldValue is one mandatory field; the value is a string, an octet or octets.
type fieldValue struct {
	name  pdufield.Name
	value any
}

func setFields(fields pdufield.Map, values []fieldValue) error {
	for _, v := range values {
		if err := fields.Set(v.name, v.value); err != nil {
			return fmt.Errorf("set %s: %w", v.name, err)
		}
	}
	return nil
}

// relativeTime is d in the protocol's relative format, YYMMDDhhmmss000R (SMPP 3.4, section 7.1.1); "" for zero.
// Less than a second is rounded up, since all zeros would ask for something else.
func relativeTime(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	seconds := int64((d + time.Second - 1) / time.Second)
	days, rest := seconds/86400, seconds%86400
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", days, rest/3600, rest%3600/60, rest%60)
}
