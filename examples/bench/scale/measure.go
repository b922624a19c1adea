package main

import (
	"runtime"
	"slices"
	"syscall"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/signal"
)

// result is what was measured of a world.
type result struct {
	keys     int           // routes × networks × classes
	live     int           // with traffic
	judged   int           // routes in lanes, in a round
	round    time.Duration // the median one, in the time that one core had for it
	worst    time.Duration // the longest of a minute: once in it, baselines and paces are made anew
	bytes    uint64        // that the book holds
	messages float64       // submits a second
}

func (r result) perKey() float64 { return float64(r.bytes) / float64(r.live) }

// measured judges worlds for a minute, while their traffic goes on, and gives them back. Their rounds take turns, so that a
// machine that is slow for a while is slow for all of them, and none finds its keys in the caches, which it would not
// after five seconds of other work either.
func measured(worlds ...*world) []result {
	results := make([]result, len(worlds))
	spent := make([][]time.Duration, len(worlds))
	for i, w := range worlds {
		results[i] = described(w)
		w.round()
	}
	for range time.Minute / signal.Tick {
		for i, w := range worlds {
			w.pass(1)
			before := cpuTime()
			results[i].judged = w.round()
			spent[i] = append(spent[i], cpuTime()-before)
		}
	}
	for i, w := range worlds {
		slices.Sort(spent[i])
		results[i].round, results[i].worst = spent[i][len(spent[i])/2], spent[i][len(spent[i])-1]
		all := heap()
		w.book = nil
		results[i].bytes = all - heap()
	}
	runtime.KeepAlive(worlds)
	return results
}

// described is what is known of a world before anything is measured.
func described(w *world) result {
	r := result{keys: w.size.keys()}
	for _, s := range w.senders {
		r.live += len(s.keys)
		for _, k := range s.keys {
			r.messages += k.rate
		}
	}
	return r
}

// round judges every lane once, decisions and all, and returns how many routes in lanes there was something to judge of.
func (w *world) round() int {
	o := decide.Round(w.policy, w.book, w.state, w.now(), decide.Options{})
	w.state = o.World
	w.book.Changed()
	return len(o.Signals)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpuTime is what the process has had of all cores. It runs on one, so that this is what it takes of it, whoever else is
// busy.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
