package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// polling measures how many polls a second are answered, unchanged (304) and whole, beside nginx that serves the same bytes
// as a static file and beside the least that net/http can do: each a process of its own, asked by wrk in turn.
func polling(out io.Writer) error {
	nginx, err1 := look("nginx")
	wrk, err2 := look("wrk")
	if err := errors.Join(err1, err2); err != nil {
		fmt.Fprintf(out, "skipped: %v; apt-get install nginx-light wrk\n", err)
		return nil
	}
	ours, err := startServing("serve")
	if err != nil {
		return err
	}
	bare, err := startServing("serve-bare")
	if err != nil {
		return errors.Join(err, ours.stop())
	}
	static, err := startNginx(nginx, ours.dir)
	if err == nil {
		err = compare(out, wrk, static, ours, bare)
		err = errors.Join(err, static.stop())
	}
	return errors.Join(err, ours.stop(), bare.stop())
}

// look finds a program, also where only root looks.
func look(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// measured are polls of one server.
type measured struct {
	rate float64       // a second
	cpu  time.Duration // of the server, for each
}

// compare asks each server for both answers, five times in turn, and prints the medians.
func compare(out io.Writer, wrk string, static, ours, bare *serving) error {
	const rounds = 5
	for _, whole := range []bool{false, true} {
		seen := map[*serving][]measured{}
		for range rounds {
			for _, s := range []*serving{static, ours, bare} {
				m, err := s.ask(wrk, whole)
				if err != nil {
					return err
				}
				seen[s] = append(seen[s], m)
			}
		}
		n, o, b := median(seen[static]), median(seen[ours]), median(seen[bare])
		what := "unchanged (304)"
		if whole {
			what = fmt.Sprintf("whole (200, %d bytes)", ours.size)
		}
		fmt.Fprintf(out, "%s: nginx %.0f/s, %s of a core each; signalbox %.0f/s (%.2f of nginx), %s; net/http alone %.0f/s (%.2f), %s\n",
			what, n.rate, n.cpu, o.rate, o.rate/n.rate, o.cpu, b.rate, b.rate/n.rate, b.cpu)
	}
	fmt.Fprintln(out, "what would close the rest: net/http itself, which parses each head into a map, makes a context and writes through two buffers;"+
		" a proxy that keeps /routes for its max-age of 1 s answers polls without a wait as fast as nginx does")
	return nil
}

// median is of both numbers, each by itself.
func median(all []measured) (m measured) {
	slices.SortFunc(all, func(a, b measured) int { return cmp.Compare(a.cpu, b.cpu) })
	m.cpu = all[len(all)/2].cpu.Round(100 * time.Nanosecond)
	slices.SortFunc(all, func(a, b measured) int { return cmp.Compare(a.rate, b.rate) })
	m.rate = all[len(all)/2].rate
	return m
}

// serving is a server in a process of its own.
type serving struct {
	cmd  *exec.Cmd
	in   io.Closer // closing it ends the process; nil: it is interrupted
	url  string
	dir  string
	size int
}

// startServing starts this program with a command that serves.
func startServing(command string) (*serving, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, command)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	said, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	s := &serving{cmd: cmd, in: in}
	line, err := bufio.NewReader(said).ReadString('\n')
	if words := strings.Fields(line); err == nil && len(words) == 2 {
		s.url, s.dir = "http://"+words[0]+"/routes", words[1]
		return s, nil
	}
	return nil, errors.Join(fmt.Errorf("%s has not started: %q", command, line), err, s.stop())
}

// startNginx serves a folder.
func startNginx(program, dir string) (*serving, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // the folder is under the temporary one
	}
	config := filepath.Join(dir, "nginx.conf")
	text := user + `worker_processes auto;
daemon off;
pid ` + dir + `/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=10 inactive=1h;
  default_type application/json;
  client_body_temp_path ` + dir + `/body; proxy_temp_path ` + dir + `/proxy; fastcgi_temp_path ` + dir + `/fastcgi; uwsgi_temp_path ` + dir + `/uwsgi; scgi_temp_path ` + dir + `/scgi;
  server { listen ` + address + ` backlog=4096; root ` + dir + `; }
}
`
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-c", config, "-p", dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &serving{cmd: cmd, url: "http://" + address + "/routes"}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err = s.etag(); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, s.stop())
}

func (s *serving) stop() error {
	if s.in != nil {
		s.in.Close()
		return s.cmd.Wait()
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// etag is the tag that the server gives the table; size is how large it is.
func (s *serving) etag() (string, error) {
	resp, err := http.Get(s.url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	s.size = int(n)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == "" {
		return "", fmt.Errorf("%s: want 200 with a tag, got %s", s.url, resp.Status)
	}
	return resp.Header.Get("ETag"), err
}

var (
	perSecond = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)
	requests  = regexp.MustCompile(`([0-9]+) requests in`)
)

// ask polls the server for two seconds over 64 connections.
func (s *serving) ask(wrk string, whole bool) (m measured, err error) {
	tag, err := s.etag()
	if err != nil {
		return m, err
	}
	args := []string{"-t1", "-c64", "-d2s", s.url}
	if !whole {
		args = append([]string{"-H", "If-None-Match: " + tag}, args...)
	}
	cpu := s.cpu()
	said, err := exec.Command(wrk, args...).CombinedOutput()
	rate, n := perSecond.FindSubmatch(said), requests.FindSubmatch(said)
	if err != nil || rate == nil || n == nil || strings.Contains(string(said), "Non-2xx") || strings.Contains(string(said), "Socket errors") {
		return m, fmt.Errorf("wrk %s: %v\n%s", s.url, err, said)
	}
	count, err1 := strconv.Atoi(string(n[1]))
	m.rate, err = strconv.ParseFloat(string(rate[1]), 64)
	m.cpu = (s.cpu() - cpu) / time.Duration(max(1, count))
	return m, errors.Join(err, err1)
}

// cpu is what the process and its children have had of all cores; 0 where the system does not say.
func (s *serving) cpu() (sum time.Duration) {
	const tick = 10 * time.Millisecond // of Linux
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, _, _ := strings.Cut(string(data), " ")
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest) // the state is the first
		self := strconv.Itoa(s.cmd.Process.Pid)
		if len(fields) < 13 || pid != self && fields[1] != self {
			continue
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		sum += time.Duration(user+system) * tick
	}
	return sum
}
