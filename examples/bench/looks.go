package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"signalbox/probes"
	"signalbox/probes/smpp"
	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

// looks measures what it takes to probe a thousand routes every ten seconds, each over its own bind. The peers are in this
// process too, so that what they take is in the numbers.
func looks(out io.Writer) error {
	const routes, every, watched = 1000, 10 * time.Second, time.Minute
	server, err := smsctest.New(smsctest.Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = server.Run(ctx) }() // it ends with the process
	var tasks []probes.Task
	for i := range routes {
		id := route.ID(fmt.Sprintf("route-%04d", i))
		link, err := smpp.NewLink(smpp.LinkOptions{Route: id, Session: smpp.Options{Addr: server.Addr(), SystemID: string(id)}})
		if err != nil {
			return err
		}
		tasks = append(tasks, probes.Task{Route: id, Way: "smpp", Every: every, Recheck: 2 * time.Second, Timeout: 5 * time.Second, Prober: link})
	}
	var good, bad atomic.Int64
	before := memory()
	schedule, err := probes.NewSchedule(probes.ScheduleOptions{Tasks: tasks, Sink: func(_ context.Context, batch []route.Observation) error {
		for i := range batch {
			if batch[i].OK {
				good.Add(1)
			} else {
				bad.Add(1)
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	go func() { _ = schedule.Run(ctx) }() // it ends with the process
	time.Sleep(2 * every)                 // each has been bound to
	good.Store(0)
	cpu, start := spent(), time.Now()
	time.Sleep(watched)
	share := float64(spent()-cpu) / float64(time.Since(start))
	fmt.Fprintf(out, "%d routes every %s: %.1f %% of one core, peers included; %.1f MB, %.1f KB a route with its peer; %d steps seen, %d failed\n",
		routes, every, 100*share, float64(memory()-before)/1e6, float64(memory()-before)/1e3/routes, good.Load(), bad.Load())
	return nil
}

// memory is what the process holds of heap and stacks.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// spent is what the process has had of all cores.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
