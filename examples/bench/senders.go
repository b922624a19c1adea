package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The size of the measurement.
const (
	herdSize    = 5000
	herdChanges = 20
)

// senders measures how fast a change reaches five thousand senders on long polls, and what each takes while it waits: once
// with senders that take gzip, as those in Go and Node do, and once with senders that do not. The senders are a process of
// their own on the same cores: what they take to read is in the times, and not in the memory.
func senders(out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, coding := range []string{"gzip", "identity"} {
		cmd := exec.Command(self, "senders-with", coding) // a process for each, so that memory is its own
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

func sendersWith(out io.Writer, coding string) error {
	s, err := serve()
	if err != nil {
		return err
	}
	before, resident := memory(), residentSet()
	herd, err := startHerd(s.listener.Addr().String(), coding)
	if err != nil {
		return errors.Join(err, s.close())
	}
	err = s.await()
	p := s.model.Table()
	size := map[string]int{"gzip": len(p.Gzip), "identity": len(p.Plain)}[coding]
	fmt.Fprintf(out, "%d senders wait: %.1f KB each of heap and stacks, %.1f KB of resident memory; a table of %d bytes (%s)\n",
		herdSize, float64(memory()-before)/1e3/herdSize, float64(residentSet()-resident)/1e3/herdSize, size, coding)
	cpu := spent()
	var took []time.Duration
	for range herdChanges {
		var some []time.Duration
		if err == nil {
			some, err = s.reach(herd)
		}
		if err == nil {
			took = append(took, some...)
			err = s.await()
		}
	}
	cpu = (spent() - cpu) / herdChanges
	if err = errors.Join(err, herd.stop(), s.close()); err != nil {
		return err
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond) }
	fmt.Fprintf(out, "%d changes, from the commit until a sender has read the whole table: median %s, p99 %s, the last %s; signalbox takes %s of a core for each, polls that follow included\n",
		herdChanges, at(0.5), at(0.99), at(1), cpu.Round(time.Millisecond))
	return nil
}

// await waits until all senders wait.
func (s *served) await() error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if waiting, err := s.gauge("signalbox_http_waiting_requests"); err != nil || int(waiting) == herdSize {
			return err
		}
	}
	return fmt.Errorf("want %d senders that wait, got fewer within a minute", herdSize)
}

// reach publishes a table and returns how long after its commit each sender had it.
func (s *served) reach(h *herd) ([]time.Duration, error) {
	committed, err := s.change()
	if err != nil {
		return nil, err
	}
	took := make([]time.Duration, 0, herdSize)
	for len(took) < herdSize {
		at, err := h.next()
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(committed))
	}
	return took, nil
}

// residentSet is what the process holds of the machine's memory, in bytes; 0 where the system does not say.
func residentSet() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64) // 0 where it is no number
	return pages * int64(os.Getpagesize())
}

// herd is the process of the senders.
type herd struct {
	cmd   *exec.Cmd
	in    io.Closer
	lines *bufio.Scanner
}

func startHerd(address, coding string) (*herd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "herd", address, coding)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	said, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	return &herd{cmd, in, bufio.NewScanner(said)}, nil
}

// next is when the next sender had a table.
func (h *herd) next() (time.Time, error) {
	if !h.lines.Scan() {
		return time.Time{}, errors.New("the senders have ended")
	}
	ns, err := strconv.ParseInt(h.lines.Text(), 10, 64)
	return time.Unix(0, ns), err
}

func (h *herd) stop() error {
	h.in.Close() // it ends with its input
	return h.cmd.Wait()
}

// runHerd is that process: senders that poll until the input ends. It prints when each had each table after the first, in
// nanoseconds of Unix time.
func runHerd(in io.Reader, out io.Writer, address, coding string) error {
	had := make(chan int64, herdSize)
	var polls sync.WaitGroup
	all := make([]net.Conn, 0, herdSize)
	for range herdSize {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		all = append(all, conn)
		polls.Go(func() { poll(conn, coding, had) })
	}
	var printed sync.WaitGroup
	printed.Go(func() {
		w := bufio.NewWriter(out)
		for ns := range had {
			fmt.Fprintln(w, ns)
			if len(had) == 0 {
				w.Flush()
			}
		}
		w.Flush()
	})
	_, _ = io.Copy(io.Discard, in) // until whoever started this closes it
	for _, c := range all {
		c.Close()
	}
	polls.Wait()
	close(had)
	printed.Wait()
	return nil
}

// poll asks on one connection, again and again, until it is closed.
func poll(conn net.Conn, coding string, had chan<- int64) {
	r := bufio.NewReaderSize(conn, 16<<10) // the whole table at once
	etag := ""
	for {
		held := ""
		if etag != "" {
			held = "If-None-Match: " + etag + "\r\n"
		}
		if _, err := io.WriteString(conn, "GET /routes HTTP/1.1\r\nHost: signalbox\r\nPrefer: wait=60\r\nAccept-Encoding: "+coding+"\r\n"+held+"\r\n"); err != nil {
			return
		}
		now, length, err := readHead(r)
		if err == nil {
			_, err = r.Discard(length)
		}
		if err != nil {
			return
		}
		if etag != "" && now != etag {
			had <- time.Now().UnixNano()
			time.Sleep(200*time.Millisecond + rand.N(100*time.Millisecond)) // as every sender does after news
		}
		etag = now
	}
}

// readHead reads the head of an answer.
func readHead(r *bufio.Reader) (etag string, length int, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case len(line) == 0:
			return etag, length, nil
		case bytes.EqualFold(name, []byte("Etag")):
			etag = string(value)
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return "", 0, err
			}
		}
	}
}
