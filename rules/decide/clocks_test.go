package decide

import (
	"testing"
	"time"

	"signalbox/rules/route"
)

const waitingRule = `
  - name: bind
    class: ["*"]
    demote: {when: 'probe["bind"].failures >= 3', for: 10s}
    promote: {when: 'probe["bind"].successes >= 3', for: 15s}
    hold_down: {base: 0s, max: 0s}`

// play shows route a one letter a round: t and f for a condition that is true and false, u for unknown; a dot is a
// tick in which nobody watches. It returns the round of the first demotion, counted from 1, or 0.
func play(s *story, letters string, show map[rune]look) int {
	n := 0
	for _, c := range letters {
		if c == '.' {
			s.jump(5 * time.Second)
			continue
		}
		n++
		for _, d := range s.look("a", show[c]).round() {
			if d.Enforced {
				return n
			}
		}
	}
	return 0
}

func TestForCountsKnownAndTrueTimeOnly(t *testing.T) {
	show := map[rune]look{'t': unbound, 'f': well, 'u': {}}
	for _, c := range []struct {
		name, rounds string
		want         int
	}{
		{"true for the whole time demotes in the round that fills it", "ttttt", 3},
		{"true for less demotes nothing", "tt", 0},
		{"false begins anew", "ttfttt", 6},
		{"false every other round never gets there", "tftftftftftftf", 0},
		{"unknown stops the clock and does not end it", "ttuutt", 6},
		{"unknown between two true rounds does not count as true", "tututut", 0},
		{"unknown from the start is nothing", "uuuuuu", 0},
		{"unknown after false leaves nothing to go on from", "ttfutt", 0},
		{"a round that came late counts up to two ticks", "t.t", 2},
		{"a longer gap does not count at all", "t..tt", 0},
		{"what was counted before a gap still counts", "tt......tt", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{rules: waitingRule}.begin(t)
			if got := play(s, c.rounds, show); got != c.want {
				t.Errorf("got demoted in round %d, want %d\n%s", got, c.want, encode(s.state("a").Clocks))
			}
		})
	}
}

func TestPromoteForCountsKnownAndTrueTimeOnly(t *testing.T) {
	show := map[rune]look{'t': well, 'f': {bind: -1}, 'u': {}}
	for _, c := range []struct {
		name, rounds string
		want         int
	}{
		{"true for the whole time", "ttttt", 4},
		{"false begins anew", "tttftttt", 8},
		{"unknown does not count", "ttutt", 0},
		{"unknown does not end it", "tttutt", 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{rules: waitingRule}.begin(t)
			if got := play(s, "ttt", map[rune]look{'t': unbound}); got != 3 {
				t.Fatalf("got demoted in round %d, want 3", got)
			}
			s.rounds(time.Minute) // settle
			if got := play(s, c.rounds, show); got != c.want {
				t.Errorf("got promoted in round %d, want %d", got, c.want)
			}
		})
	}
}

func TestAClockIsDurableWhereSomebodyWaitsForIt(t *testing.T) {
	s := site{rules: waitingRule}.begin(t)
	s.look("a", unbound)
	s.now = s.now.Add(5 * time.Second)
	o := judge(s.policy, s.world, s.now, Options{}, s.signals)
	if !o.Changed {
		t.Error("got a running clock that need not outlive a restart")
	}
	if none := judge(s.policy, s.world, s.now, Options{}, (&story{looks: map[route.ID]look{}}).signals); none.Changed {
		t.Error("got a change of what must outlive a restart where nothing happened")
	}
}

func TestWhileTheTimeCannotBeTrustedOnlyClocksRun(t *testing.T) {
	s := site{rules: waitingRule + receiptsRule}.begin(t)
	s.options.Hold = true
	s.look("a", look{bind: 3, failure: 20, peers: -9})
	none(t, s.rounds(10*time.Minute))
	s.phase("a", route.Active)
	if got := s.state("a").Clocks[0].Held.D(); got < 9*time.Minute {
		t.Errorf("got a clock of %s, want one that ran on", got)
	}
	s.options.Hold = false
	wantReasons(t, s.round(), "a RuleMatched")
}

func TestARoundInThePastChangesNothing(t *testing.T) {
	s := plain.begin(t)
	s.round()
	for _, back := range []time.Duration{0, time.Second, 24 * time.Hour} {
		o := judge(s.policy, s.world, s.now.Add(-back), Options{}, s.look("a", failing).signals)
		if o.Changed || o.Table != nil || len(o.Decisions) > 0 || encode(o.World) != encode(s.world) {
			t.Errorf("%s before the last round: got %+v, want nothing", back, o)
		}
	}
}
