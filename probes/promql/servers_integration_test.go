//go:build integration

package promql

import (
	"bytes"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"signalbox/rules/route"
)

// exporter is a gateway's exporter, with the metrics that dashboards/rules renames.
type exporter struct {
	submitted, receipts *prometheus.CounterVec
	url                 string
}

func newExporter(t *testing.T) *exporter {
	t.Helper()
	registry := prometheus.NewRegistry()
	e := &exporter{
		submitted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sms_submitted_total"}, []string{"route", "class", "network"}),
		receipts:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sms_receipts_total"}, []string{"route", "class", "network", "status"}),
	}
	registry.MustRegister(e.submitted, e.receipts)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e *exporter) add(submitted, delivered, failed float64) {
	e.submitted.WithLabelValues("acme", "otp", "GB").Add(submitted)
	e.receipts.WithLabelValues("acme", "otp", "GB", "delivered").Add(delivered)
	e.receipts.WithLabelValues("acme", "otp", "GB", "failed").Add(failed)
}

// start runs a server until the test ends; stop ends it before.
func start(t *testing.T, c *exec.Cmd) (stop func()) {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatalf("start %s: %v", c.Path, err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = c.Process.Kill() // it may have ended by itself
			_ = c.Wait()         // killed is no success
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s:\n%s", c.Path, out.String())
		}
	})
	return stop
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// prometheusServer is Debian's, with the shipped rules at a test's pace.
func prometheusServer(t *testing.T, e *exporter) (url string, queries map[string]string, stop func()) {
	t.Helper()
	dir, addr := t.TempDir(), freeAddress(t)
	rules, err := os.ReadFile("../../dashboards/rules/signalbox-routes.yml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "rules.yml"), strings.Replace(string(rules), "interval: 15s", "interval: 1s", 1))
	config := write(t, filepath.Join(dir, "prometheus.yml"), "rule_files: [rules.yml]\n"+scrape(e))
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("this test needs Debian's prometheus: %v", err)
	}
	stop = start(t, exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr))
	return "http://" + addr, nil, stop
}

func scrape(e *exporter) string {
	return fmt.Sprintf("scrape_configs:\n  - {job_name: gateway, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: [%q]}]}\n", strings.TrimPrefix(e.url, "http://"))
}

// victoriaMetrics is built from its module; it has no rules, so that the gateway's own names are asked for.
func victoriaMetrics(t *testing.T, e *exporter) (url string, queries map[string]string, stop func()) {
	t.Helper()
	dir, addr := t.TempDir(), freeAddress(t)
	build := exec.Command("go", "install", "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.151.0")
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build victoria-metrics: %v\n%s", err, out)
	}
	config := write(t, filepath.Join(dir, "scrape.yml"), scrape(e))
	stop = start(t, exec.Command(filepath.Join(dir, "victoria-metrics"), "-promscrape.config="+config, "-storageDataPath="+filepath.Join(dir, "data"), "-httpListenAddr="+addr))
	return "http://" + addr, map[string]string{
		Submitted: `sms_submitted_total`, Delivered: `sms_receipts_total{status="delivered"}`, Failed: `sms_receipts_total{status!="delivered"}`,
		Refused: `sms_refused_total`, Throttled: `sms_throttled_total`}, stop
}

// Against real servers: every message and receipt that an exporter counts is observed once; a route that swallows messages
// has submits and no receipts; and a server that is killed gives nothing, with a cause.
func TestCollectorAgainstRealServers(t *testing.T) {
	for name, launch := range map[string]func(*testing.T, *exporter) (string, map[string]string, func()){"Prometheus": prometheusServer, "VictoriaMetrics": victoriaMetrics} {
		t.Run(name, func(t *testing.T) {
			e := newExporter(t)
			e.add(1000, 950, 20)
			url, queries, stop := launch(t, e)
			c, err := New(Options{Name: "real", URL: url, Queries: queries, Params: map[string]string{"latency_offset": "1s"}, Interval: 5 * time.Second, Known: func(id route.ID) bool { return id == "acme" }})
			if err != nil {
				t.Fatal(err)
			}
			c.warm = 0
			n := map[string]int{}
			collect := func() error {
				ctx := t.Context()
				observations, err := c.Collect(ctx)
				for _, o := range observations {
					switch o.Kind {
					case route.KindHeartbeat:
						n["heartbeat"]++
					case route.KindReceipt:
						n[o.Status.String()]++
					case route.KindSubmit:
						n["submitted"]++
					}
				}
				return err
			}
			until := func(what string, ok func() bool) {
				t.Helper()
				var last error
				for end := time.Now().Add(30 * time.Second); ; time.Sleep(500 * time.Millisecond) {
					last = collect()
					if ok() {
						return
					}
					if time.Now().After(end) {
						t.Fatalf("%s: got %v, the last error %v", what, n, last)
					}
				}
			}
			until("a first answer", func() bool { return n["heartbeat"] > 0 })
			if n["submitted"]+n["delivered"] != 0 {
				t.Fatalf("first values are no increase: got %v", n)
			}
			for range 5 {
				e.add(20, 18, 1)
				time.Sleep(time.Second)
				_ = collect() // a scrape may be under way
			}
			until("what was counted", func() bool { return n["submitted"] >= 100 && n["delivered"] >= 90 && n["failed"] >= 5 })
			e.add(50, 0, 0) // swallowed
			until("what was swallowed", func() bool { return n["submitted"] >= 150 })
			if n["submitted"] != 150 || n["delivered"] != 90 || n["failed"] != 5 {
				t.Errorf("got %v, want 150, 90 and 5", n)
			}
			stop()
			before := n["heartbeat"]
			if err := collect(); err == nil || n["heartbeat"] != before {
				t.Errorf("a server that is gone: got %v, %v", n, err)
			}
		})
	}
}

// The shipped rules are what their tests say, by Debian's promtool.
func TestShippedRulesByPromtool(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "signalbox-routes.yml"}, {"test", "rules", "signalbox-routes.test.yml"},
		{"check", "rules", "signalbox-senders.yml"}, {"test", "rules", "signalbox-senders.test.yml"}} {
		c := exec.Command("promtool", args...)
		c.Dir = "../../dashboards/rules"
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
