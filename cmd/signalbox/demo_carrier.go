package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"signalbox/probes/smpp"
	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

// What the messages of the demo are.
const (
	demoClass   route.Class   = "otp"
	demoNetwork route.Network = "234-15"
	demoSource                = "demo-sender"
)

// demoLane is the lane that the messages go in.
var demoLane = route.Lane{Class: demoClass, Network: "GB"}

// demoPlan is how a carrier of the demo is while it is well.
type demoPlan struct {
	id     route.ID
	median time.Duration // from a message to its receipt
}

// demoSite are the carriers, in the order of the policy; the first is the one that falls ill.
var demoSite = []demoPlan{{"acme", 3 * time.Second}, {"bolt", 3500 * time.Millisecond}, {"core", 4 * time.Second}}

// The rest of what is normal at every carrier: shares of messages, and spreads as standard deviations of the logarithm.
const (
	demoDelivered   = 0.95
	demoFailed      = 0.03
	demoSpread      = 0.6
	demoTyped       = 0.80 // share of the delivered codes that people type in
	demoTyping      = 25 * time.Second
	demoTypedSpread = 0.5
)

// demoCarrier is a carrier and the sender's session with it.
type demoCarrier struct {
	demoPlan
	server   *smsctest.Server
	session  *smpp.Session
	receipts atomic.Uint64 // that the sender got from it
}

func newDemoCarrier(p *demoPlan, seed uint64) (*demoCarrier, error) {
	c := &demoCarrier{demoPlan: *p}
	b := c.well()
	var err error
	c.server, err = smsctest.New(smsctest.Options{SystemID: "demo", Password: "demo", Seed: seed, Behaviour: &b})
	if err != nil {
		return nil, fmt.Errorf("carrier %s: %w", c.id, err)
	}
	return c, nil
}

// well is how the carrier behaves while nothing is wrong with it.
func (c *demoCarrier) well() smsctest.Behaviour {
	return smsctest.Behaviour{Accept: 1, Delivered: demoDelivered, Failed: demoFailed, Delay: smsctest.LogNormal(c.median, demoSpread)}
}

// fallSilent makes the carrier swallow messages: it accepts them as ever, and sends no receipt.
func (c *demoCarrier) fallSilent() {
	b := c.well()
	b.Swallow = true
	c.server.SetBehaviour(b)
}

func (c *demoCarrier) heal() { c.server.SetBehaviour(c.well()) }

// dial binds the one session that messages and receipts go over.
func (c *demoCarrier) dial(ctx context.Context) (err error) {
	c.session, err = smpp.Dial(ctx, smpp.Options{Addr: c.server.Addr(), SystemID: "demo", Password: "demo", Bind: smpp.Transceiver})
	if err != nil {
		return fmt.Errorf("bind to %s: %w", c.id, err)
	}
	return nil
}

func (c *demoCarrier) hangUp() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.session.Unbind(ctx) // whether the goodbye was heard matters to nobody
}

// baseline is what is normal of the carrier, in the form that signalbox is told it in.
func (c *demoCarrier) baseline() *route.Baseline {
	b := &route.Baseline{Delivered: demoDelivered, Failed: demoFailed, Conversion: demoTyped, Messages: 5000}
	for age := 0.5; age < 300; age *= 1.2 {
		b.Ages = append(b.Ages, math.Round(age*1000)/1000)
		b.CDF = append(b.CDF, math.Round(logNormalShare(age, c.median, demoSpread)*1e4)/1e4)
		b.ConversionCDF = append(b.ConversionCDF, math.Round(c.typedBy(age)*1e4)/1e4)
	}
	return b
}

// typedBy is the share of conversions that are no older than age seconds: first comes the receipt, then the typing. It
// averages over receipts at evenly spaced shares of their distribution.
func (c *demoCarrier) typedBy(age float64) float64 {
	const steps = 400
	sum := 0.0
	for i := range steps {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/steps-1)
		sum += logNormalShare(age-c.median.Seconds()*math.Exp(demoSpread*z), demoTyping, demoTypedSpread)
	}
	return sum / steps
}

// logNormalShare is the share of a log-normal distribution below x seconds.
func logNormalShare(x float64, median time.Duration, spread float64) float64 {
	if x <= 0 {
		return 0
	}
	return 0.5 * math.Erfc(-math.Log(x/median.Seconds())/(spread*math.Sqrt2))
}

// typing draws how long a person takes to type a code in.
func typing() time.Duration {
	return time.Duration(float64(demoTyping) * math.Exp(demoTypedSpread*rand.NormFloat64()))
}
