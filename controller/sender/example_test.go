package sender_test

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"signalbox/controller/sender"
)

// A sender that follows the table, and tells what became of its messages.
func Example() {
	c, err := sender.New(sender.Options{
		Name:    "gw-1",
		Servers: []string{"http://10.0.0.1:9465", "http://10.0.0.2:9465"},
		File:    "/var/lib/gateway/table.txt",
		Routes:  []string{"acme-uk", "bolt-uk"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()

	message := "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
	if choice, err := c.Pick("otp", "234-15", message); err == nil {
		begun := time.Now()
		// Submit it by choice.Route here, and by choice.Fallbacks after that.
		_ = c.Report(sender.Event{Type: "submit", ID: message, Route: choice.Route, Class: "otp", Network: "234-15",
			Result: "accepted", Latency: time.Since(begun), Generation: choice.Generation})
	}
	<-ran
}
