package api

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Server returns a server of h that nobody can hold up: its limits leave room for the longest wait for a table. When it
// begins to shut down, those who wait are answered at once. Its BaseContext must stay as it is for that.
func Server(h http.Handler) *http.Server {
	drain, begin := context.WithCancel(context.Background())
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       maxWait + 30*time.Second, // it ends waits too, so it is longer than they are
		WriteTimeout:      maxWait + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), drainKey{}, drain)
		},
	}
	s.RegisterOnShutdown(begin)
	return s
}
