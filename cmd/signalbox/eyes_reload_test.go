package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/probes/smsctest"
)

// keyed are settings with a key for Kannel's calls, one for test phones, and a route by its SMSC id.
func keyed(smsc string) string {
	return fmt.Sprintf(`
version: 1
receipts:
  routes: {%s: acme}
  keys: {kannel: {secrets: [{file: dlr.key}]}}
inbound: {phones: {secret: {file: phones.key}, from: from, text: text}}
`, smsc)
}

// statusOf is the status that a GET is answered with.
func statusOf(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// reload asks a daemon to read everything again, and returns the status of its answer.
func reload(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Post(url+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// startKeyed runs a daemon with keys; rotate writes others.
func startKeyed(t *testing.T) (url, file string, rotate func(dlr, phones string)) {
	t.Helper()
	t.Setenv("FIRST", "first") // so that the first start needs no file, as the folder is made by it
	url, file = startSeeingBy(t, bindPolicy, strings.NewReplacer("{file: dlr.key}", "{env: FIRST}", "{file: phones.key}", "{env: FIRST}").Replace(keyed("smsc-1")))
	return url, file, func(dlr, phones string) {
		writeText(t, filepath.Join(filepath.Dir(file), "dlr.key"), dlr)
		writeText(t, filepath.Join(filepath.Dir(file), "phones.key"), phones)
	}
}

func dlrURL(url, key, smsc string, n int) string {
	return fmt.Sprintf("%s/receipts/kannel?key=%s&id=m-%d&smsc=%s&status=1", url, key, n, smsc)
}

// Keys and connectors come into force with a reload, all of them or none, and are in force when it is answered.
func TestKeysOfWebhooksAreReloaded(t *testing.T) {
	url, file, rotate := startKeyed(t)
	want := func(when, key, smsc string, dlr, phones int) {
		t.Helper()
		if got := statusOf(t, dlrURL(url, key, smsc, 1)); got != dlr {
			t.Errorf("%s: a receipt with key %s of %s: got %d, want %d", when, key, smsc, got, dlr)
		}
		if got := statusOf(t, url+"/inbound/phones?from=a&text=b&key="+key); got != phones {
			t.Errorf("%s: a message with key %s: got %d, want %d", when, key, got, phones)
		}
	}
	want("at first", "first", "smsc-1", 200, 200)
	want("at first", "second", "smsc-1", 403, 403)

	rotate("second", "second")
	writeText(t, file, keyed("smsc-2"))
	want("written only", "first", "smsc-1", 200, 200)
	if got := reload(t, url); got != 200 {
		t.Fatalf("reload: got %d", got)
	}
	want("rotated", "second", "smsc-2", 200, 200)
	want("rotated", "first", "smsc-2", 403, 403)
	want("rotated", "second", "smsc-1", 400, 200) // it is the id of no route any more

	rotate("third", "") // one of the files is empty: none of them counts
	if got := reload(t, url); got == 200 {
		t.Error("reload with an empty key: got 200")
	}
	want("refused", "second", "smsc-2", 200, 200)
	want("refused", "third", "smsc-2", 403, 403)

	writeText(t, file, "version: 1\n")
	if got := reload(t, url); got != 200 {
		t.Fatalf("reload: got %d", got)
	}
	want("without webhooks", "second", "acme", 200, 404) // no key is asked for any more
}

// While keys are rotated, with both of them valid for a while, no receipt is refused and each is counted.
func TestNoReceiptIsLostByReloading(t *testing.T) {
	url, file, rotate := startKeyed(t)
	rotate("second", "second")
	both := strings.Replace(keyed("smsc-1"), "[{file: dlr.key}]", "[{env: FIRST}, {file: dlr.key}]", 1)
	writeText(t, file, both)
	if got := reload(t, url); got != 200 {
		t.Fatalf("reload: got %d", got)
	}
	var sent atomic.Int64
	stop, senders := make(chan struct{}), sync.WaitGroup{}
	for _, key := range []string{"first", "second"} {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				response, err := http.Get(dlrURL(url, key, "smsc-1", int(sent.Add(1))))
				if err != nil {
					t.Error(err)
					return
				}
				if response.Body.Close(); response.StatusCode != http.StatusOK {
					t.Errorf("with key %s: got %d", key, response.StatusCode)
				}
			}
		})
	}
	for range 20 {
		if got := reload(t, url); got != 200 {
			t.Errorf("reload: got %d", got)
		}
		time.Sleep(5 * time.Millisecond) // so that receipts come between
	}
	close(stop)
	senders.Wait()
	series := `signalbox_receipts_calls_total{format="kannel",outcome="taken"}`
	if got := metricOf(t, url, series); got != float64(sent.Load()) || got == 0 {
		t.Errorf("taken: got %v, want %d", got, sent.Load())
	}
}

// metricOf is the value of a series of a running daemon.
func metricOf(t *testing.T, url, series string) float64 {
	t.Helper()
	v, found := seriesOf(t, url, series)
	if !found {
		t.Fatalf("metrics: want %s", series)
	}
	return v
}

// seriesOf is metricOf of a series that may not be there yet.
func seriesOf(t *testing.T, url, series string) (value float64, found bool) {
	t.Helper()
	response, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text, is := strings.CutPrefix(lines.Text(), series+" "); is {
			if value, err = strconv.ParseFloat(text, 64); err != nil {
				t.Fatal(err)
			}
			return value, true
		}
	}
	return 0, false
}

// Each reload closes what it replaces: binds are unbound before new ones are made, and neither goroutines nor descriptors pile
// up.
func TestReloadsLeaveNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("binds some dozens of times")
	}
	carrier := startCarrier(t, smsctest.Options{})
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(api.Close)
	url := startSeeing(t, bindPolicy, fmt.Sprintf(`
version: 1
defaults: {every: 50ms, recheck: 50ms}
routes:
  acme: {smpp: {address: %q, system_id: probe}}
  bolt: {http: {every: 50ms, url: %q}}
inbound: {phones: {secret: {env: PATH}, from: from, text: text}}
collectors: {kannel: [{name: k, every: 50ms, url: %q}]}
`, carrier.Addr(), api.URL, api.URL))
	reloads := func(n int) {
		for range n {
			binds := carrier.Counters().Binds
			if got := reload(t, url); got != 200 {
				t.Fatalf("reload: got %d", got)
			}
			awaitThat(t, "the probe binds anew", func() bool { return carrier.Counters().Binds > binds })
		}
	}
	reloads(3)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	reloads(30)
	const slack = 8 // connections of this test and of what looks, as they come and go
	awaitThat(t, "goroutines are as before", func() bool { return runtime.NumGoroutine() <= goroutines+slack })
	awaitThat(t, "descriptors are as before", func() bool { return openFiles(t) <= files+slack })
}

func awaitThat(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(entries)
}
