package state

import (
	"encoding/json"
	"fmt"
	"testing"

	"signalbox/rules/route"

	"pgregory.net/rapid"
)

func lanesOf(p *Published) (out []string) {
	if p == nil {
		return nil
	}
	for _, l := range p.Table.Lanes {
		out = append(out, l.Lane().String())
	}
	return out
}

func TestFiltered(t *testing.T) {
	m := New()
	if m.Filtered("otp", "") != nil {
		t.Error("not warm: got a view")
	}
	whole := publish(t, m, 1)
	for _, tc := range []struct {
		class   route.Class
		network route.Network
		want    string
	}{
		{"", "", "[otp/GB otp/* */234-15 bulk/FR]"},
		{"otp", "", "[otp/GB otp/* */234-15]"},
		{"bulk", "", "[*/234-15 bulk/FR]"},
		{"news", "", "[*/234-15]"},
		{"", "GB", "[otp/GB otp/* */234-15]"},
		{"", "234-15", "[otp/GB otp/* */234-15]"},
		{"", "234-20", "[otp/GB otp/*]"},
		{"otp", "FR", "[otp/*]"},
		{"bulk", "GB", "[*/234-15]"},
		{"bulk", "DE", "[]"},
		{"", "*", "[otp/GB otp/* */234-15 bulk/FR]"},
	} {
		got := m.Filtered(tc.class, tc.network)
		if fmt.Sprint(lanesOf(got)) != tc.want {
			t.Errorf("class %q, network %q: got %v, want %s", tc.class, tc.network, lanesOf(got), tc.want)
		}
		if got != m.Filtered(tc.class, tc.network) {
			t.Errorf("class %q, network %q: encoded twice", tc.class, tc.network)
		}
		if got != nil {
			if want, _ := json.Marshal(got.Table); string(got.Plain) != string(want) || got.Table.Generation != whole.Table.Generation {
				t.Errorf("class %q, network %q: got %s, want %s", tc.class, tc.network, got.Plain, want)
			}
		}
	}
	if m.Filtered("", "*") != whole {
		t.Error("a filter that keeps everything: got another view, want the whole table")
	}
	if m.Filtered("otp", "GB") != m.Filtered("otp", "234-15") {
		t.Error("filters that keep the same lanes: encoded twice")
	}
	next := publish(t, m, 2)
	if got := m.Filtered("otp", "GB"); got.Table.Generation != next.Table.Generation {
		t.Errorf("after a publish: got a view of %s, want 1-2", got.Table.Generation)
	}
}

func TestViewsAreBounded(t *testing.T) {
	m := New()
	var lanes []route.LaneTable
	for i := range maxViews + 20 {
		lanes = append(lanes, laneTable("otp", fmt.Sprintf("%03d-15", i+100)))
	}
	if err := m.Publish(encoded(t, table(1, lanes...))); err != nil {
		t.Fatal(err)
	}
	for _, l := range lanes {
		if got := lanesOf(m.Filtered("", l.Network)); len(got) < 1 {
			t.Fatalf("%s: got no lane", l.Network)
		}
	}
	for i := range maxFilters + 20 {
		m.Filtered(route.Class(fmt.Sprint("c", i)), "")
	}
	v := m.viewsOf(m.Table())
	if len(v.byLanes) > maxViews || len(v.byFilter) > maxFilters {
		t.Errorf("got %d views and %d filters, want at most %d and %d", len(v.byLanes), len(v.byFilter), maxViews, maxFilters)
	}
}

// A sender that asks for its own messages only must route them as one that has the whole table.
func TestLookupInAViewIsLookupInTheTable(t *testing.T) {
	classes := rapid.SampledFrom([]string{"otp", "bulk", "*"})
	networks := rapid.SampledFrom([]string{"*", "GB", "FR", "234-15", "235-01", "208-01", "901-12"})
	rapid.Check(t, func(t *rapid.T) {
		tab := table(1, laneTable("otp", "GB"))
		for range rapid.IntRange(0, 8).Draw(t, "lanes") {
			l := laneTable(classes.Draw(t, "class"), networks.Draw(t, "network"))
			if find(tab.Lanes, l.Lane()) < 0 {
				tab.Lanes = append(tab.Lanes, l)
			}
		}
		p, err := encodePlain(tab)
		if err != nil {
			t.Fatal(err)
		}
		m := New()
		if err := m.Publish(p); err != nil {
			t.Fatal(err)
		}
		c, within := route.Class(classes.Draw(t, "of class")), route.Network(networks.Draw(t, "within"))
		n := route.Network(networks.Draw(t, "to"))
		if !within.Contains(n) {
			t.Skip("not within")
		}
		if got, want := served(m.Filtered(c, within), c, n), served(p, c, n); got != want {
			t.Errorf("%s to %s within %s: got lane %q, want %q", c, n, within, got, want)
		}
	})
}

func served(p *Published, c route.Class, n route.Network) string {
	if p == nil {
		return ""
	}
	i := p.Table.Lookup(c, n)
	if i < 0 {
		return ""
	}
	return p.Table.Lanes[i].Lane().String()
}

func find(lanes []route.LaneTable, l route.Lane) int {
	for i := range lanes {
		if lanes[i].Lane() == l {
			return i
		}
	}
	return -1
}
