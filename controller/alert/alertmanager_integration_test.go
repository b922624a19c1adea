//go:build integration

package alert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"signalbox/rules/route"
)

// patience is how long anything may take that is waited for: more than a minute, after which everything is told again.
const patience = 100 * time.Second

// manager is a real Alertmanager.
type manager struct {
	t       *testing.T
	dir     string
	address string
	cluster string
	peer    string // the cluster address of the other; "" for none
	stop    func()
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

// start runs the server until the test ends, or stop does. What it knew before is gone.
func (m *manager) start(hook string) {
	m.t.Helper()
	path, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		m.t.Fatalf("this test needs prometheus-alertmanager: %v", err)
	}
	m.dir = m.t.TempDir()
	config := fmt.Sprintf("route: {receiver: hook, group_by: [alertname, route], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}\nreceivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]\n", hook)
	if err := os.WriteFile(filepath.Join(m.dir, "am.yml"), []byte(config), 0o600); err != nil {
		m.t.Fatal(err)
	}
	args := []string{"--config.file=" + filepath.Join(m.dir, "am.yml"), "--storage.path=" + filepath.Join(m.dir, "data"), "--web.listen-address=" + m.address,
		"--cluster.listen-address=" + m.cluster, "--cluster.advertise-address=" + m.cluster, "--cluster.settle-timeout=1s", "--cluster.gossip-interval=100ms", "--cluster.peer-timeout=2s"}
	if m.peer != "" {
		args = append(args, "--cluster.peer="+m.peer)
	}
	c := exec.Command(path, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := false
	m.stop = func() {
		if !ended {
			ended = true
			_ = c.Process.Kill() // it may have ended by itself
			_ = c.Wait()         // killed is no success
		}
	}
	stop := m.stop
	m.t.Cleanup(func() {
		stop()
		if m.t.Failed() {
			m.t.Logf("%s:\n%s", m.address, out.String())
		}
	})
	m.until("it to be ready", func() bool {
		resp, err := http.Get("http://" + m.address + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// firing is what an Alertmanager believes to hold, by alertname.
func (m *manager) firing() map[string]postable {
	resp, err := http.Get("http://" + m.address + "/api/v2/alerts?active=true")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var all []postable
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil
	}
	out := map[string]postable{}
	for _, p := range all {
		out[p.Labels["alertname"]] = p
	}
	return out
}

func (m *manager) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	m.t.Fatalf("%s: not within %s: %s; it has %v", m.address, patience, what, m.firing())
}

func (m *manager) untilFires(name string, fires bool) {
	m.t.Helper()
	m.until(fmt.Sprintf("%s fires: %t", name, fires), func() bool { _, there := m.firing()[name]; return there == fires })
}

// notified counts the notifications of a status that the receiver behind the Alertmanagers had about a demotion.
func notified(hook *receiver, status string) (n int) {
	for _, g := range hook.all() {
		var p hookPayload
		if json.Unmarshal(g.body, &p) == nil && p.Status == status && p.CommonLabels["alertname"] == string(KindRouteDemoted) {
			n++
		}
	}
	return n
}

// TestAgainstAlertmanager fires and resolves against a pair of Debian's Alertmanagers, each of which is restarted once,
// as signalbox is.
func TestAgainstAlertmanager(t *testing.T) {
	hook := &receiver{}
	behind := httptest.NewServer(hook)
	defer behind.Close()
	a := &manager{t: t, address: freeAddress(t), cluster: freeAddress(t)}
	b := &manager{t: t, address: freeAddress(t), cluster: freeAddress(t), peer: a.cluster}
	a.start(behind.URL)
	b.start(behind.URL)
	settings := fmt.Sprintf("version: 1\nalertmanager: {urls: [\"http://%s\", \"http://%s\"], labels: {site: cork}}\n", a.address, b.address)
	s := newRealSite(t, settings)

	began := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	demoted := route.State{Route: "acme-uk", Phase: route.Demoted, Since: began, Text: "of 58 messages none came back", Decision: "1-43-1"}
	s.states(demoted)
	for _, m := range []*manager{a, b} {
		m.untilFires("SignalboxRouteDemoted", true)
		m.untilFires("SignalboxWatchdog", true)
		p := m.firing()["SignalboxRouteDemoted"]
		if p.Labels["route"] != "acme-uk" || p.Labels["network"] != "GB" || p.Labels["site"] != "cork" || p.Annotations["decision"] != "1-43-1" || !p.StartsAt.Equal(began) {
			t.Errorf("%s: got %+v", m.address, p)
		}
	}
	a.until("a notification", func() bool { return notified(hook, "firing") > 0 })

	t.Log("an Alertmanager that restarts with nothing is told again")
	a.stop()
	a.peer = b.cluster
	a.start(behind.URL)
	a.untilFires("SignalboxRouteDemoted", true)

	t.Log("a signalbox that restarts goes on with the same alert")
	s.stop()
	s.start(settings)
	time.Sleep(5 * time.Second)
	if p := b.firing()["SignalboxRouteDemoted"]; !p.StartsAt.Equal(began) || len(b.firing()) != 2 {
		t.Errorf("got %+v, want the same alert, once", b.firing())
	}
	if n := notified(hook, "resolved"); n != 0 {
		t.Errorf("got %d notifications that it is over, want none", n)
	}

	t.Log("what ends is resolved at both")
	s.states()
	for _, m := range []*manager{a, b} {
		m.untilFires("SignalboxRouteDemoted", false)
		m.untilFires("SignalboxWatchdog", true)
	}
	b.until("a notification that it is over", func() bool { return notified(hook, "resolved") > 0 })

	t.Log("what ends while signalbox is away is resolved when it is back")
	s.states(demoted)
	b.untilFires("SignalboxRouteDemoted", true)
	s.stop()
	s.states()
	s.start(settings)
	b.untilFires("SignalboxRouteDemoted", false)

	t.Log("and what signalbox no longer tells, by itself: nothing is believed for longer than five minutes")
	for name, p := range b.firing() {
		if p.EndsAt.After(time.Now().Add(believedFor)) {
			t.Errorf("%s: believed until %s", name, p.EndsAt)
		}
	}

	tried, err := s.alerts.Try(t.Context(), "alertmanager")
	if err != nil || len(tried) != 2 || tried[0].Result != resultDelivered || tried[1].Result != resultDelivered {
		t.Errorf("a test: got %v, %v", tried, err)
	}
	a.untilFires("SignalboxTest", true)
}

// TestTheExampleForAlertmanagerIsValid asks Alertmanager's own tool.
func TestTheExampleForAlertmanagerIsValid(t *testing.T) {
	if out, err := exec.Command("amtool", "check-config", "../../examples/alerts/alertmanager.yml").CombinedOutput(); err != nil {
		t.Errorf("amtool: %v\n%s", err, out)
	}
}

// newRealSite is a site on the real network.
func newRealSite(t *testing.T, settings string) *site {
	t.Helper()
	s := newSite(t, "version: 1\n")
	s.stop()
	s.net = nil
	s.start(settings)
	return s
}
