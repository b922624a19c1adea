package way

import (
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// published tells of a table with one entry for each "lane route share" so many minutes after noon.
func published(w *Way, number uint64, rows ...route.LaneTable) {
	w.Published(&route.Table{Generation: route.Generation{Epoch: 1, Number: number}, PublishedAt: noon.Add(time.Duration(number) * time.Minute), Lanes: rows})
}

func row(network route.Network, entries ...route.Entry) route.LaneTable {
	return route.LaneTable{Class: "otp", Network: network, Routes: entries}
}

func carries(r route.ID, share int) route.Entry {
	return route.Entry{Route: r, Share: share, Phase: route.Active, Price: "0.03 EUR"}
}

func TestWhatTheTableSaid(t *testing.T) {
	w := newWay(t, Options{Kept: 10})
	out := carries("acme", 0)
	out.Phase, out.Reason = route.Demoted, &route.Because{Rule: "collapse", Decision: "1-3-1", Text: "nothing comes back"}
	published(w, 2, row("GB", carries("acme", 10000), carries("bolt", 0)))
	published(w, 3, row("GB", carries("acme", 10000), carries("bolt", 0)), row("234-15", carries("bolt", 10000), out))
	published(w, 4, row("GB", carries("acme", 10000), carries("bolt", 0)))
	said := func(number uint64) *route.Generation { return &route.Generation{Epoch: 1, Number: number} }
	for _, c := range []struct {
		name    string
		attempt Attempt
		want    string
	}{
		{"before it was demoted", Attempt{Route: "acme", Generation: said(2)}, `{"generation":"1-2","published_at":"2026-11-25T12:02:00Z","lane":{"class":"otp","network":"GB"},"entry":{"route":"acme","share":10000,"phase":"active","price":"0.03 EUR"}}`},
		{"by a row of its own", Attempt{Route: "acme", Generation: said(3)}, `"network":"234-15"},"entry":{"route":"acme","share":0,"phase":"demoted","price":"0.03 EUR","reason":{"rule":"collapse","decision":"1-3-1","text":"nothing comes back"}}}`},
		{"after the row is gone", Attempt{Route: "acme", Generation: said(4)}, `"published_at":"2026-11-25T12:02:00Z","lane":{"class":"otp","network":"GB"}`},
		{"too old", Attempt{Route: "acme", Generation: said(1)}, `{"generation":"1-1","not_kept":"tables are kept from generation 1-2 on"}`},
		{"not published", Attempt{Route: "acme", Generation: said(5)}, `"not_kept":"no table of this generation has been published; the last one is 1-4"`},
		{"not said, so the one in force", Attempt{Route: "bolt", Time: noon.Add(3*time.Minute + time.Second)}, `{"generation":"1-3","assumed":true,"published_at":"2026-11-25T12:03:00Z"`},
		{"not said, and before all", Attempt{Route: "bolt", Time: noon}, `{"generation":"0-0","assumed":true,"not_kept":"the tables from before are not kept"}`},
		{"a route that it does not have", Attempt{Route: "core", Generation: said(4)}, `"lane":{"class":"otp","network":"GB"}}`},
	} {
		c.attempt.Class, c.attempt.Network = "otp", "234-15"
		w.tables.stand(&c.attempt)
		if got := asJSON(t, c.attempt.Table); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	unserved := Attempt{Class: "bulk", Network: "FR", Generation: said(4)}
	if w.tables.stand(&unserved); unserved.Table != nil {
		t.Errorf("got %s for a message of no lane", asJSON(t, unserved.Table))
	}
}

func TestTablesAreBounded(t *testing.T) {
	w := newWay(t, Options{Kept: 10})
	for n := range uint64(maxVersions + 10) {
		published(w, n+1, row("GB", carries("acme", int(n)), carries("bolt", 10000-int(n))), row("FR", carries("bolt", 10000)))
	}
	gb, fr := w.tables.lanes[route.Lane{Class: "otp", Network: "GB"}], w.tables.lanes[route.Lane{Class: "otp", Network: "FR"}]
	if len(gb) != maxVersions || len(fr) != 1 {
		t.Errorf("got %d versions of the lane that changed and %d of the one that did not, want %d and 1", len(gb), len(fr), maxVersions)
	}
	a := Attempt{Route: "acme", Class: "otp", Network: "234-15", Generation: &route.Generation{Epoch: 1, Number: 2}}
	if w.tables.stand(&a); a.Table == nil || a.Table.NotKept != "of lane otp/GB only the last 32 changes are kept" {
		t.Errorf("got %s", asJSON(t, a.Table))
	}
}
