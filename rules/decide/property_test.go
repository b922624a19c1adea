package decide

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// tried counts what the histories of a test led to, so that it cannot pass by trying nothing.
type tried struct{ enforced, networks, approved, orders, held int }

func (n *tried) count(journal []route.Decision) {
	for i := range journal {
		switch d := &journal[i]; {
		case d.Reason == route.Approved:
			n.approved++
		case d.Reason == route.OverrideSet:
			n.orders++
		case d.Enforced && d.Verdict != route.VerdictNothing && d.Lane.Network != "GB":
			n.networks++
		case d.Enforced && d.Verdict != route.VerdictNothing:
			n.enforced++
		case d.Reason == route.GuardHeld || d.Reason == route.Frozen:
			n.held++
		}
	}
}

func TestWhatMustNeverHappen(t *testing.T) {
	var n tried
	rapid.Check(t, func(rt *rapid.T) {
		sites := []site{drawSite(rt), drawSite(rt)}
		w := newWitness(rt, sites[0])
		w.apart = rapid.SampledFrom([][]route.Network{nil, {"234-15"}, {"234-15", "234-30"}}).Draw(rt, "messages to")
		for range rapid.IntRange(10, 40).Draw(rt, "scenes") {
			w.scene(sites)
			for range rapid.IntRange(1, 8).Draw(rt, "rounds") {
				w.step()
			}
		}
		w.tell()
		n.count(w.journal)
	})
	if !testing.Short() && (n.enforced < 20 || n.networks == 0 || n.orders < 50 || n.held < 50) { // a short run tries a fifth
		t.Errorf("got %+v in all, want enough to have tried something", n)
	}
}

// scene lets something happen between two rounds.
func (w *witness) scene(sites []site) {
	look := rapid.SampledFrom(looks).Draw(w.rt, "look")
	switch rapid.IntRange(0, 23).Draw(w.rt, "event") {
	case 0:
		w.reload(sites[rapid.IntRange(0, 1).Draw(w.rt, "policy")])
	case 1:
		w.jump(time.Duration(rapid.IntRange(1, 1200).Draw(w.rt, "gap")) * time.Second)
	case 2:
		w.options.Hold = !w.options.Hold
	case 3, 4, 5:
		w.orders(drawOrder(w.rt, w.now), rapid.Bool().Draw(w.rt, "force"))
	case 6:
		w.endsOne()
	case 7, 8, 9:
		w.answers(Reply{Approve: pick(w.rt, "approve", "yes", "yes", "no") == "yes", Force: rapid.Bool().Draw(w.rt, "force"), Actor: "ann"})
	case 10, 11, 12, 13:
		w.there(rapid.SampledFrom([]route.Lane{otpGB, otp15, otp30, bulkGB}).Draw(w.rt, "place"), drawRoute(w.rt), look)
	case 14, 15:
		w.wide[drawRoute(w.rt)] = look
	default:
		w.look(drawRoute(w.rt), look)
	}
}

// orders puts an order in force, or has it refused in the project's words.
func (w *witness) orders(o route.Override, force bool) {
	table, was := *w.table, w.world
	_, err := w.tryOrder(o, force)
	var refused *Refused
	if err != nil && !(errors.As(err, &refused) && !force && o.Kind == route.Drain || strings.Contains(err.Error(), "want a ")) {
		w.fail("order %+v: %v", o, err)
	}
	if err != nil {
		return
	}
	if o.Kind == route.Drain && !force {
		w.leavesEnough(&table, nil)
	}
	w.byHand(&table, was)
}

func (w *witness) endsOne() {
	if len(w.world.Overrides) == 0 {
		return
	}
	table, was := *w.table, w.world
	w.ends(rapid.SampledFrom(w.world.Overrides).Draw(w.rt, "ended").ID)
	w.byHand(&table, was)
}

// answers replies to the first proposal that waits.
func (w *witness) answers(a Reply) {
	p := w.waiting()
	if p == "" {
		return
	}
	a.Proposal = p
	table, was := *w.table, w.world
	out, err := w.reply(a)
	var refused *Refused
	switch {
	case err == nil && !a.Approve:
	case err == nil:
		w.approved(&table, was, out.Decisions, a.Force)
	case !errors.As(err, &refused) && !strings.Contains(err.Error(), "want a rule of the policy in force") && !strings.Contains(err.Error(), "that waits"):
		w.fail("answer %+v: %v", a, err)
	case a.Force && refused != nil && refused.Guard != guardMinActive:
		w.fail("%s refused what was forced", refused.Guard)
	}
	if err == nil {
		w.byHand(&table, was)
	}
}

func (w *witness) waiting() string {
	for i := range w.world.Lanes {
		l := &w.world.Lanes[i]
		states := slices.Clone(l.Routes)
		for k := range l.Networks {
			states = append(states, l.Networks[k].Routes...)
		}
		for k := range states {
			if states[k].Proposal != "" {
				return states[k].Proposal
			}
		}
	}
	return ""
}

func TestDecisionsDoNotDependOnTheOrderOfDeclarations(t *testing.T) {
	lines := strings.Split(strings.TrimPrefix(plain.routes, "\n"), "\n")
	slices.Reverse(lines)
	turned := plain
	turned.routes = "\n" + strings.Join(lines, "\n")
	x, y := plain.begin(t), turned.begin(t)
	y.policy.Revision = x.policy.Revision
	for n := range 400 {
		for i, id := range []route.ID{"a", "b", "c"} {
			v := looks[(n/12+5*i)%len(looks)]
			x.look(id, v)
			y.look(id, v)
		}
		if got, want := encode(y.round()), encode(x.round()); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}
