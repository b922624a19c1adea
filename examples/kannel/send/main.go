// Send is the sender of send.js by the client for Go: it hands messages to Kannel by the routes that signalbox publishes,
// and prints one JSON line for each message, with the route it asked for and the generation of the table it went by.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"signalbox/controller/sender"
)

// The lane of every message that this sender has.
const class, network = "otp", "234-15"

// site is where everything is.
type site struct {
	signalbox, receipts, kannel, name string
	rate                              float64
	client                            *sender.Client
	http                              http.Client
	printing                          sync.Mutex // held while a line is printed
}

func main() {
	s := &site{http: http.Client{Timeout: 10 * time.Second}}
	flag.StringVar(&s.signalbox, "signalbox", "http://127.0.0.1:9465", "the URL of signalbox")
	flag.StringVar(&s.receipts, "receipts", "", "where Kannel calls back (default: signalbox)")
	flag.StringVar(&s.kannel, "kannel", "http://127.0.0.1:13013", "the URL of sendsms")
	flag.StringVar(&s.name, "name", "gw-1", "what this sender is called")
	flag.Float64Var(&s.rate, "rate", 12, "messages a second")
	flag.Parse()
	if s.receipts == "" {
		s.receipts = s.signalbox
	}
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, "send:", err)
		os.Exit(1)
	}
}

// run sends until SIGUSR2, and goes on with heartbeats until SIGTERM: receipts are still to come.
func (s *site) run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	enough := make(chan os.Signal, 1)
	signal.Notify(enough, syscall.SIGUSR2)
	s.client, err = sender.New(sender.Options{Name: s.name, Servers: []string{s.signalbox}, Routes: []string{"acme-uk", "bolt-uk"}})
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.client.Run(ctx) }) // it always returns nil
	defer running.Wait()
	for s.client.Table() == nil && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / s.rate))
	defer tick.Stop()
	run := strconv.FormatInt(time.Now().UnixMilli(), 36)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-enough:
			<-ctx.Done()
			return nil
		case <-tick.C:
			running.Go(func() { s.send(fmt.Sprintf("%s-%d", run, n)) })
		}
	}
}

// line is what is printed of a message.
type line struct {
	ID         string `json:"id"`
	Route      string `json:"route"`
	Generation string `json:"generation"`
	Status     int    `json:"status"`
	Answer     string `json:"answer"`
}

func (s *site) send(id string) {
	choice, err := s.client.Pick(class, network, id)
	if err != nil {
		fmt.Fprintln(os.Stderr, "send:", err)
		return
	}
	now := time.Now()
	l := line{ID: id, Route: choice.Route, Generation: choice.Generation.String()}
	resp, err := s.http.Get(s.kannel + "/cgi-bin/sendsms?" + s.query(id, choice.Route, now).Encode())
	if err != nil {
		l.Answer = err.Error()
	} else {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what came is what is printed
		l.Status, l.Answer = resp.StatusCode, string(text)
	}
	if l.Status == http.StatusAccepted {
		err := s.client.Report(sender.Event{Type: "submit", Time: now, ID: id, Route: choice.Route, Class: class, Network: network, Result: "accepted", Generation: choice.Generation})
		if err != nil {
			fmt.Fprintln(os.Stderr, "send:", err)
		}
	}
	s.print(&l)
}

func (s *site) query(id, route string, now time.Time) url.Values {
	submitted := strconv.FormatFloat(float64(now.UnixMilli())/1000, 'f', 3, 64)
	back := url.Values{"id": {id}, "route": {route}, "class": {class}, "network": {network}, "submitted": {submitted}}
	return url.Values{
		"username": {"tester"},
		"password": {"foobar"},
		"from":     {"signalbox"},
		"to":       {fmt.Sprintf("447700900%03d", rand.IntN(1000))},
		"text":     {"Your code is in another message"},
		"smsc":     {route},
		"dlr-mask": {"31"},
		// What begins with % is for Kannel to fill in, and must reach it unescaped once the query is decoded.
		"dlr-url": {s.receipts + "/receipts/kannel?" + back.Encode() + "&smsc=%i&status=%d&reply=%A&at=%T&fid=%F"},
	}
}

func (s *site) print(l *line) {
	s.printing.Lock()
	defer s.printing.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(l) // whoever reads it has gone
}
