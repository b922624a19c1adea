package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func TestANetworkThatGetsALaneOfItsOwnKeepsItsRouteOut(t *testing.T) {
	s := outThere(t, abroad())
	own := abroad()
	own.lanes = plain.lanes + `
  - {class: otp, network: 234-15, order: [a, b]}`
	was := s.world.Lane(otpGB).On("234-15", "a")
	s.reload(own)
	s.wantRow(otp15, "b 9900, a 100 demoted")
	if got := s.world.Lane(otp15).State("a"); encode(got) != encode(was) || s.world.Lane(otpGB).Networks != nil {
		t.Errorf("got %s, want it as it was on the network, and no longer there: %s", encode(got), encode(was))
	}
	s.there(otp15, "a", returned).rounds(5*time.Minute - signal.Tick)
	s.wantRow(otp15, "b 9900, a 100 demoted")
}

func TestALaneThatComesBetweenTakesOverTheNetworksOfItsMessages(t *testing.T) {
	wide := abroad()
	wide.routes = strings.ReplaceAll(plain.routes, "networks: [GB]", `networks: ["*"]`)
	wide.lanes = `
  - {class: otp, network: "*", order: [a, b, c]}`
	s := wide.beginAbroad(t)
	s.there(otp15, "a", failing).round()
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	between := wide
	between.lanes += `
  - {class: otp, network: GB, order: [a, b]}`
	s.reload(between)
	s.wantRow(otpGB, "a 10000, b 0")
	s.wantRow(otp15, "b 9900, a 100 demoted")
}

func TestALaneThatGoesLeavesItsRoutesOutWhereItsMessagesGo(t *testing.T) {
	own := abroad()
	own.lanes = plain.lanes + `
  - {class: otp, network: 234-15, order: [a, b]}`
	s := own.begin(t)
	s.there(otp15, "a", unbound).round()
	s.wantRow(otp15, "b 9900, a 100 demoted")
	s.reload(abroad())
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	s.there(otp15, "a", well).rounds(2*time.Minute - signal.Tick)
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	s.rounds(10 * time.Minute) // its rule judges no network, so it comes back by small steps
	s.wantRow(otp15, "")
}

func TestANetworkOfALaneThatGoesIsForgottenWithIt(t *testing.T) {
	s := outThere(t, site{rules: abroad().rules, lanes: plain.lanes + `
  - {class: bulk, network: GB, order: [a]}`, classes: plain.classes + `
  bulk: {mode: act}`})
	s.reload(site{rules: abroad().rules, lanes: `
  - {class: bulk, network: GB, order: [a]}`, classes: plain.classes + `
  bulk: {mode: act}`})
	if len(s.table.Lanes) != 1 || s.world.Lane(otpGB) != nil {
		t.Errorf("got %s, want nothing of a lane that nobody serves", encode(s.table.Lanes))
	}
}

func TestTwoWaysBackThatAReloadBringsTogetherBothGoOn(t *testing.T) {
	own := site{guards: fmt.Sprintf(quick, 1), lanes: plain.lanes + `
  - {class: otp, network: 234-15, order: [b, c]}`}
	s := own.begin(t)
	s.there(otpGB, "a", failing).there(otp15, "b", failing).round()
	s.there(otpGB, "a", returned).there(otp15, "b", returned).rounds(5 * time.Minute)
	s.wantRow(otpGB, "b 9500, c 0, a 500 recovering")
	s.wantRow(otp15, "c 9500, b 500 recovering")
	s.reload(site{guards: own.guards})
	s.wantRow(otp15, "c 9000, a 500 recovering, b 500 recovering")
	s.rounds(10 * time.Minute)
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	s.wantRow(otp15, "")
}

func TestALaneThatANetworkBecomesKeepsItsRouteOutForAsLongAsEitherSaid(t *testing.T) {
	long := abroad()
	long.rules = strings.Replace(thereRule, "{base: 5m, factor: 2, max: 15m,", "{base: 30m, factor: 2, max: 2h,", 1) + bindRule
	long.guards = fmt.Sprintf(quick, 1)
	s := outThere(t, long)
	until := s.world.Lane(otpGB).On("234-15", "a").HoldUntil
	s.look("a", unbound).round()
	s.phase("a", route.Demoted)
	own := long
	own.lanes = plain.lanes + `
  - {class: otp, network: 234-15, order: [a, b]}`
	s.reload(own)
	got := s.world.Lane(otp15).State("a")
	if got.Phase != route.Demoted || !got.HoldUntil.Equal(until) || !slices.Equal(got.Rules, []string{"bind", "there"}) || got.Accused.Delivered != 0.4 {
		t.Errorf("got %s, want it out until %s for what both said", encode(got), until)
	}
	s.look("a", well).there(otp15, "a", look{recovered: 9, bind: -3, peers: -9}).rounds(29 * time.Minute)
	s.wantRow(otp15, "b 9900, a 100 demoted")
	s.wantRow(otpGB, "a 10000, b 0, c 0")
}

func TestAProposalStaysWhereItWasMade(t *testing.T) {
	asked := inMode("propose", "", "")
	s := asked.begin(t)
	p := only(t, s.look("a", failing).round())
	own := asked
	own.lanes = plain.lanes + `
  - {class: otp, network: 234-15, order: [a, b]}`
	s.reload(own)
	if got := s.state("a").Proposal; got != p.ID {
		t.Errorf("got proposal %q in the lane, want %s", got, p.ID)
	}
	if got := s.world.Lane(otp15).State("a"); got != nil && got.ProposedBy != "" {
		t.Errorf("got the proposal in the new lane too: %s", encode(got))
	}
}
