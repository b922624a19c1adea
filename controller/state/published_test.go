package state

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"signalbox/rules/route"

	"github.com/klauspost/compress/zstd"
)

func gen(n uint64) route.Generation { return route.Generation{Epoch: 1, Number: n} }

func laneTable(class, network string) route.LaneTable {
	return route.LaneTable{Class: route.Class(class), Network: route.Network(network), Mode: route.Act, Routes: []route.Entry{
		{Route: "acme-uk", Share: 6000, Phase: route.Active},
		{Route: "bolt-uk", Share: 4000, Phase: route.Active},
	}}
}

func table(n uint64, lanes ...route.LaneTable) *route.Table {
	if len(lanes) == 0 {
		lanes = []route.LaneTable{laneTable("otp", "GB"), laneTable("otp", "*"), laneTable("*", "234-15"), laneTable("bulk", "FR")}
	}
	return &route.Table{Generation: gen(n), PublishedAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Policy: "git:3f2a91c", Lanes: lanes}
}

func encoded(t testing.TB, tab *route.Table) *Published {
	t.Helper()
	p, err := Encode(tab)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEncodingsAreOfTheSameBytes(t *testing.T) {
	p := encoded(t, table(1))
	want, err := json.Marshal(p.Table)
	if err != nil || !bytes.Equal(p.Plain, want) {
		t.Errorf("plain: got %s, want %s", p.Plain, want)
	}
	zr, err := gzip.NewReader(bytes.NewReader(p.Gzip))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(zr); err != nil || !bytes.Equal(got, want) {
		t.Errorf("gzip: got %s, %v, want %s", got, err, want)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got, err := d.DecodeAll(p.Zstd, nil); err != nil || !bytes.Equal(got, want) {
		t.Errorf("zstd: got %s, %v, want %s", got, err, want)
	}
}

func TestEncodingThatDoesNotHelpIsLeftOut(t *testing.T) {
	if got := smaller([]byte("ab"), []byte("abc")); got != nil {
		t.Errorf("got %q, want nil", got)
	}
}

func TestUnusableTablesAreRefused(t *testing.T) {
	noRoutes, short, long, negative := laneTable("otp", "GB"), laneTable("otp", "GB"), laneTable("otp", "GB"), laneTable("otp", "GB")
	noRoutes.Routes = nil
	short.Routes = short.Routes[:1]
	long.Routes[0].Share = 6001
	negative.Routes[0].Share, negative.Routes[1].Share = -1, 10001
	for name, bad := range map[string]*route.Table{
		"no table":             nil,
		"no lanes":             {Generation: gen(2)},
		"lane without routes":  table(2, noRoutes),
		"shares under the sum": table(2, short),
		"shares over the sum":  table(2, long),
		"negative share":       table(2, negative),
		"good and bad lane":    table(2, laneTable("bulk", "GB"), noRoutes),
		"lane twice":           table(2, laneTable("otp", "GB"), laneTable("otp", "GB")),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Encode(bad); err == nil {
				t.Error("encode: got no error")
			}
			m := New()
			first := encoded(t, table(1))
			if err := m.Publish(first); err != nil {
				t.Fatal(err)
			}
			if err := m.Publish(&Published{Table: bad, Plain: []byte("{}")}); err == nil {
				t.Error("publish: got no error")
			}
			if m.Table() != first {
				t.Error("the table in force changed")
			}
		})
	}
}

func TestPublishRefusesOldGenerations(t *testing.T) {
	m := New()
	inForce := encoded(t, table(5))
	if err := m.Publish(inForce); err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{4, 5} {
		if err := m.Publish(encoded(t, table(n))); err == nil || m.Table() != inForce {
			t.Errorf("generation %d after 5: got %v, want an error", n, err)
		}
	}
	if err := m.Publish(nil); err == nil {
		t.Error("nothing: got no error")
	}
	again := table(1)
	again.Generation.Epoch = 2
	if err := m.Publish(encoded(t, again)); err != nil {
		t.Errorf("new epoch: got %v", err)
	}
}

func BenchmarkEncode(b *testing.B) {
	var lanes []route.LaneTable
	for i := range 200 {
		lanes = append(lanes, laneTable("otp", fmt.Sprintf("%03d-15", 100+i)))
	}
	t := table(1, lanes...)
	for b.Loop() {
		encoded(b, t)
	}
}
