package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"signalbox/rules/route"
)

// journal is a store with the decisions 1-1-1 to 1-n-1, a minute apart, of alternating routes and networks. All routes
// stand where decision 1-1-1 brought them.
func journal(t testing.TB, n uint64) *Store {
	s, _ := fresher(t)
	for i := uint64(1); i <= n; i++ {
		c := changeTo(i)
		d := &c.Decisions[0]
		d.Time = noon.Add(time.Duration(i) * time.Minute)
		if i%2 == 0 {
			d.Route, d.Lane = "bolt-uk", route.Lane{Class: "bulk", Network: "234-15"}
		}
		for l := range c.World.Lanes {
			c.World.Lanes[l].Routes[0].Decision = "1-1-1"
		}
		commit(t, s, c)
	}
	return s
}

func ids(ds []route.Decision) (out []string) {
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out
}

func TestDecisions(t *testing.T) {
	s := journal(t, 6)
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	for name, tc := range map[string]struct {
		q    Query
		want []string
		next string
	}{
		"all, newest first":             {Query{}, []string{"1-6-1", "1-5-1", "1-4-1", "1-3-1", "1-2-1", "1-1-1"}, ""},
		"first page":                    {Query{Limit: 2}, []string{"1-6-1", "1-5-1"}, "1-5-1"},
		"page after a cursor":           {Query{Limit: 2, Before: "1-5-1"}, []string{"1-4-1", "1-3-1"}, "1-3-1"},
		"last page":                     {Query{Limit: 2, Before: "1-3-1"}, []string{"1-2-1", "1-1-1"}, ""},
		"nothing after the last":        {Query{Before: "1-1-1"}, nil, ""},
		"since takes its moment":        {Query{Since: at(5)}, []string{"1-6-1", "1-5-1"}, ""},
		"until leaves its moment":       {Query{Until: at(3)}, []string{"1-2-1", "1-1-1"}, ""},
		"since and until":               {Query{Since: at(2), Until: at(4)}, []string{"1-3-1", "1-2-1"}, ""},
		"cursor inside since and until": {Query{Since: at(2), Until: at(6), Before: "1-4-1"}, []string{"1-3-1", "1-2-1"}, ""},
		"until before the cursor":       {Query{Until: at(2), Before: "1-4-1"}, []string{"1-1-1"}, ""},
		"route":                         {Query{Route: "bolt-uk"}, []string{"1-6-1", "1-4-1", "1-2-1"}, ""},
		"class, in pages":               {Query{Class: "otp", Limit: 2}, []string{"1-5-1", "1-3-1"}, "1-3-1"},
		"network of a country":          {Query{Network: "GB", Limit: 9}, []string{"1-6-1", "1-5-1", "1-4-1", "1-3-1", "1-2-1", "1-1-1"}, ""},
		"network":                       {Query{Network: "234-15"}, []string{"1-6-1", "1-4-1", "1-2-1"}, ""},
		"no such route":                 {Query{Route: "core-uk"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ds, next, err := s.Decisions(tc.q)
			if err != nil || !slices.Equal(ids(ds), tc.want) || next != tc.next {
				t.Errorf("got %v, next %q, %v, want %v, next %q", ids(ds), next, err, tc.want, tc.next)
			}
		})
	}
}

func TestDecisionsRefuseACursorThatIsNotKept(t *testing.T) {
	s := journal(t, 2)
	for _, before := range []string{"1-9-1", "nonsense"} {
		if _, _, err := s.Decisions(Query{Before: before}); !errors.Is(err, ErrCursor) {
			t.Errorf("before %q: got %v, want ErrCursor", before, err)
		}
	}
}

func TestClockThatWentBackHidesNothing(t *testing.T) {
	s, _ := fresher(t)
	for i, at := range []time.Time{noon, noon.Add(-time.Hour), noon.Add(time.Minute)} {
		c := changeTo(uint64(i + 1))
		c.Decisions[0].Time = at
		commit(t, s, c)
	}
	ds, _, err := s.Decisions(Query{Since: noon.Add(-2 * time.Hour)})
	if want := []string{"1-3-1", "1-1-1", "1-2-1"}; err != nil || !slices.Equal(ids(ds), want) {
		t.Errorf("got %v, %v, want %v", ids(ds), err, want)
	}
}

func TestDecisionByID(t *testing.T) {
	s := journal(t, 2)
	d, ok, err := s.Decision("1-2-1")
	if err != nil || !ok || d.Route != "bolt-uk" {
		t.Errorf("got %+v, %t, %v, want the decision about bolt-uk", d, ok, err)
	}
	for _, id := range []string{"1-3-1", "", "x", "1-2", "1-2-1-1", "-1-2-1"} {
		if _, ok, err := s.Decision(id); ok || err != nil {
			t.Errorf("%q: got %t, %v, want not found", id, ok, err)
		}
	}
}

func TestPrune(t *testing.T) {
	for name, tc := range map[string]struct {
		older time.Time
		most  int
		want  []string
	}{
		"by age, not what the state refers to":   {noon.Add(4 * time.Minute), 0, []string{"1-6-1", "1-5-1", "1-4-1", "1-1-1"}},
		"by count, not what the state refers to": {time.Time{}, 3, []string{"1-6-1", "1-5-1", "1-4-1", "1-1-1"}},
		"nothing to do":                          {noon, 100, []string{"1-6-1", "1-5-1", "1-4-1", "1-3-1", "1-2-1", "1-1-1"}},
		"everything else":                        {noon.Add(time.Hour), 1, []string{"1-1-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := journal(t, 6)
			n, err := s.Prune(tc.older, tc.most)
			ds, _, _ := s.Decisions(Query{})
			if err != nil || n != 6-len(tc.want) || !slices.Equal(ids(ds), tc.want) {
				t.Errorf("got %d pruned, %v left, %v, want %v left", n, ids(ds), err, tc.want)
			}
			if _, ok, _ := s.Decision("1-2-1"); ok && !slices.Contains(tc.want, "1-2-1") {
				t.Error("a pruned decision is still there")
			}
		})
	}
}

func TestPruneInBatches(t *testing.T) {
	s, _ := fresher(t)
	c := changeTo(1)
	for i := range 2*pruneBatch + 10 {
		d := c.Decisions[0]
		d.ID, d.Time = fmt.Sprintf("1-1-%d", i+2), noon.Add(time.Duration(i)*time.Second)
		c.Decisions = append(c.Decisions, d)
	}
	c.Decisions[0].Time = noon.Add(-time.Hour)
	commit(t, s, c)
	n, err := s.Prune(time.Time{}, 5)
	ds, _, _ := s.Decisions(Query{})
	if err != nil || n != 2*pruneBatch+5 || len(ds) != 6 {
		t.Errorf("got %d pruned, %d left, %v, want %d and the 5 newest with the one referred to", n, len(ds), err, 2*pruneBatch+5)
	}
}
