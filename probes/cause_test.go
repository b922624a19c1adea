package probes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestCausesAreTheRoutesOrOurs(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("tcp: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for _, c := range []struct {
		err  error
		want string
		ours bool
	}{
		{dial(syscall.ECONNREFUSED), "refused", false},
		{dial(syscall.EHOSTUNREACH), "unreachable", false},
		{dial(syscall.ECONNRESET), "closed", false},
		{dial(syscall.EMFILE), "error", true},
		{dial(syscall.ENFILE), "error", true},
		{dial(syscall.EADDRNOTAVAIL), "error", true},
		{dial(syscall.EPERM), "error", true},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, "dns", false},
		{&net.DNSError{UnwrapErr: dial(syscall.EMFILE)}, "dns", true},
		{context.DeadlineExceeded, "timeout", false},
		{io.EOF, "closed", false},
		{errors.New("no HTTP"), "error", false},
	} {
		if got, ours := Cause(c.err), Ours(c.err); got != c.want || ours != c.ours {
			t.Errorf("%v: got %s, ours %v; want %s, %v", c.err, got, ours, c.want, c.ours)
		}
	}
}
