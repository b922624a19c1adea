package http

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"time"

	"signalbox/probes"
)

// traced notes in the log how long the steps to a connection took, where a new one is made. The kept one of the look before
// makes none.
func traced(ctx context.Context, log *probes.Log) context.Context {
	var name, connect, handshake time.Time
	note := func(step string, start time.Time, err error, said string) {
		if !start.IsZero() {
			log.Saw(step, time.Since(start), err == nil, said)
		}
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { name = time.Now() },
		DNSDone:           func(i httptrace.DNSDoneInfo) { note("dns", name, i.Err, "") },
		ConnectStart:      func(string, string) { connect = time.Now() },
		ConnectDone:       func(_, _ string, err error) { note("tcp", connect, err, "") },
		TLSHandshakeStart: func() { handshake = time.Now() },
		TLSHandshakeDone:  func(s tls.ConnectionState, err error) { note("tls", handshake, err, tls.VersionName(s.Version)) },
	})
}
