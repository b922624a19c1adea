package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// stand puts routes into phases by hand: "a- b+ c1" is a demoted, b active, c recovering on its second step.
func stand(t tester, p *policy.Policy, lane route.Lane, phases string, rule string) route.World {
	t.Helper()
	w := Adopt(p, route.World{}, nil, began).World
	l := w.Lane(lane)
	for _, f := range strings.Fields(phases) {
		s := route.Fresh(route.ID(f[:1]))
		switch f[1:] {
		case "+":
		case "-":
			s.Phase, s.Since, s.Rules, s.Decision, s.Text = route.Demoted, began, []string{rule}, "1-2-1", "why"
		default:
			s.Phase, s.Since, s.Rules, s.Step = route.Recovering, began, []string{rule}, int(f[1]-'0')
		}
		l.Routes = append(l.Routes, s)
	}
	slices.SortFunc(l.Routes, func(a, b route.State) int { return strings.Compare(string(a.Route), string(b.Route)) })
	return w
}

func TestShares(t *testing.T) {
	const weighted = `
  - {class: otp, network: GB, share: {a: 60, b: 30, c: 10}}`
	const thirds = `
  - {class: otp, network: GB, share: {a: 1, b: 1, c: 1}}`
	for _, c := range []struct {
		name, lanes, phases string
		want                string
	}{
		{"the first active route carries an ordered lane", "", "a+ b+ c+", "a 10000, b 0, c 0"},
		{"a demoted one keeps its trickle and goes to the end", "", "a- b+ c+", "b 9900, c 0, a 100"},
		{"two of them keep theirs", "", "a- b- c+", "c 9700, a 100, b 200"},
		{"a route on its way back stands behind the active ones", "", "a0 b+ c+", "b 9500, c 0, a 500"},
		{"its second step", "", "a1 b+ c+", "b 7500, c 0, a 2500"},
		{"a step that a reload took away is the last below the whole", "", "a9 b+ c+", "b 7500, c 0, a 2500"},
		{"without an active route the one on its way back carries the rest", "", "a- b0 c-", "b 9900, a 100, c 0"},
		{"without either the first demoted one does", "", "a- b- c-", "a 9800, b 200, c 0"},
		{"weights", weighted, "a+ b+ c+", "a 6000, b 3000, c 1000"},
		{"a demoted route's share goes to the others in proportion", weighted, "a- b+ c+", "b 7455, c 2485, a 60"},
		{"a ramp step is of the route's own weight", weighted, "a0 b+ c+", "b 7275, c 2425, a 300"},
		{"a trickle is of the route's own weight", weighted, "a+ b+ c-", "a 6667, b 3333, c 0"},
		{"what does not divide goes by the largest remainder, then by order", thirds, "a+ b+ c+", "a 3334, b 3333, c 3333"},
		{"of two left", thirds, "a- b+ c+", "b 4984, c 4983, a 33"},
		{"of one left", thirds, "a- b- c+", "c 9901, a 33, b 66"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := site{lanes: c.lanes}.parse(t)
			table := Table(p, stand(t, p, otpGB, c.phases, "receipts"), began)
			if got := shareLine(&table.Lanes[0]); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func shareLine(l *route.LaneTable) string {
	var parts []string
	for _, e := range l.Routes {
		parts = append(parts, fmt.Sprintf("%s %d", e.Route, e.Share))
	}
	return strings.Join(parts, ", ")
}

func TestTricklesTogetherNeverCrowdOutWhatWorks(t *testing.T) {
	p := site{routes: `
  a: {provider: pa, networks: [GB], trickle: 40%}
  b: {provider: pb, networks: [GB], trickle: 40%}
  c: {provider: pc, networks: [GB]}`}.parse(t)
	table := Table(p, stand(t, p, otpGB, "a- b- c+", "receipts"), began)
	if got, want := shareLine(&table.Lanes[0]), "c 5000, a 4000, b 1000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARampGivesWhatThePolicySays(t *testing.T) {
	p := site{rules: `
  - name: steep
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [50%, 90%, 100%]}`}.parse(t)
	table := Table(p, stand(t, p, otpGB, "a1 b- c+", "steep"), began)
	if got, want := shareLine(&table.Lanes[0]), "c 800, a 9000, b 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEntriesSayWhatSendersMayKnow(t *testing.T) {
	s := demoted(t, plain, failing)
	l := s.table.Lanes[0]
	if l.Class != "otp" || l.Network != "GB" || l.Mode != route.Act || l.RetryAfter.D() != 20*time.Second || s.table.Policy != s.policy.Revision || !s.table.PublishedAt.Equal(s.now) {
		t.Errorf("got table %+v", s.table)
	}
	out, standby := l.Routes[2], l.Routes[1]
	if out.Route != "a" || out.Phase != route.Demoted || out.Price != "0.0300 EUR" || !out.Since.Equal(s.now) ||
		out.Reason == nil || out.Reason.Rule != "receipts" || out.Reason.Decision != s.journal[0].ID || out.Reason.Text != s.journal[0].Text {
		t.Errorf("got entry %+v because %+v", out, out.Reason)
	}
	if standby.Share != 0 || standby.Phase != route.Active || standby.Reason != nil || standby.Since != nil {
		t.Errorf("got standby %+v", standby)
	}
}

func TestThePublishedTableIsTheOneOfTheState(t *testing.T) {
	s := recovering(t, plain)
	if got, want := encode(Table(s.policy, s.world, s.table.PublishedAt)), encode(s.table); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
