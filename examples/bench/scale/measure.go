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

// measured judges a world for a minute, while its traffic goes on, and gives the world back.
func measured(w *world) result {
	r := result{keys: w.size.keys()}
	for _, s := range w.senders {
		r.live += len(s.keys)
		for _, k := range s.keys {
			r.messages += k.rate
		}
	}
	w.round()
	var spent []time.Duration
	for range time.Minute / signal.Tick {
		w.pass(1)
		before := cpuTime()
		r.judged = w.round()
		spent = append(spent, cpuTime()-before)
	}
	slices.Sort(spent)
	r.round, r.worst = spent[len(spent)/2], spent[len(spent)-1]
	all := heap()
	w.book = nil
	r.bytes = all - heap()
	runtime.KeepAlive(w)
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
