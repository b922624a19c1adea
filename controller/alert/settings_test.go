package alert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// load loads settings that lie beside the files.
func load(t *testing.T, settings string, files map[string]string) (*Setup, error) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	files["alerts.yml"] = settings
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load("alerts.yml")
}

const allSettings = `version: 1
source: signalbox-cork
external_url: https://signalbox.example.net
alertmanager:
  urls: [http://am-1:9093, https://am-2/am/]
  labels: {site: cork}
  headers: {Authorization: {env: AM_TOKEN}}
webhooks:
  - name: pager
    url_file: url
    format: alertmanager
    events: [route.*, lane.trouble]
  - name: chat
    url: https://chat.example.net/hook
    secret_file: secrets
    headers: {X-Token: {file: token}}
`

func TestSettings(t *testing.T) {
	t.Setenv("AM_TOKEN", "Bearer abc")
	s, err := load(t, allSettings, map[string]string{"url": "https://pager.example.net/secret\n", "secrets": secretText + "\n" + secretText + "\n", "token": "xyz\n"})
	if err != nil {
		t.Fatal(err)
	}
	pager, chat, am := s.hooks[0], s.hooks[1], s.peers[1]
	if pager.post.url != "https://pager.example.net/secret" || !pager.wantsEvent(RouteDemoted) || pager.wantsEvent(GuardHeld) || !pager.wantsEvent(Test) || pager.secrets != nil {
		t.Errorf("pager: got %+v", pager)
	}
	if len(chat.secrets) != 2 || chat.format != FormatCloudEvents || !chat.wantsEvent(GuardHeld) || chat.post.headers.Get("X-Token") != "xyz" {
		t.Errorf("chat: got %+v", chat)
	}
	if am.post.url != "https://am-2/am/api/v2/alerts" || am.name != "alertmanager/am-2/am" || am.post.headers.Get("Authorization") != "Bearer abc" || am.labels["site"] != "cork" {
		t.Errorf("alertmanager: got %+v", am)
	}
	if got := strings.Join(s.Receivers(), " "); got != "pager chat alertmanager/am-1:9093 alertmanager/am-2/am" {
		t.Errorf("got receivers %s", got)
	}
}

func TestProblemsOfSettings(t *testing.T) {
	for name, c := range map[string]struct{ settings, want string }{
		"empty":     {"", "alerts.yml:1:1: file: want a mapping, got an empty file"},
		"no YAML":   {"a: [", "alerts.yml:1:1: file: want YAML: line 1: did not find expected node content"},
		"a version": {"version: 2", "alerts.yml:1:10: version: want 1, got 2"},
		"an unknown key": {"version: 1\nwebhook: []",
			`alerts.yml:2:1: webhook: want one of version, source, external_url, alertmanager, webhooks, got "webhook" (did you mean "webhooks"?)`},
		"a key twice": {"version: 1\nsource: a\nsource: b", "alerts.yml:3:1: source: want each key once, got it again"},
		"a webhook without anything": {"version: 1\nwebhooks: [{}]", `alerts.yml:2:12: webhooks[0].name: want a name of its own, of at most 32 letters, digits and . _ -, got ""
alerts.yml:2:12: webhooks[0]: want url or url_file, one of them
alerts.yml:2:12: webhooks[0]: want secret_file or secret_env: by its signature a receiver knows that an event is ours`},
		"an event": {"version: 1\nwebhooks: [{name: a, url: http://a, secret_file: secret, events: [route.demotd]}]",
			`alerts.yml:2:67: webhooks[0].events[0]: want an event such as route.demoted, or route.*, got "route.demotd" (did you mean "route.demoted"?)`},
		"a password in a URL": {"version: 1\nwebhooks: [{name: a, url: 'http://u:hunter2@a', secret_file: secret}]",
			"alerts.yml:2:27: webhooks[0].url: want no password in the URL: headers take one from a file"},
		"a name twice": {"version: 1\nwebhooks: [{name: a, url: http://a, secret_file: secret}, {name: a, url: http://a, secret_file: secret}]",
			`alerts.yml:2:66: webhooks[1].name: want a name of its own, of at most 32 letters, digits and . _ -, got "a"`},
		"a secret that is none": {"version: 1\nwebhooks: [{name: a, url: http://a, secret_file: token}]",
			"alerts.yml:2:50: webhooks[0].secret_file: want whsec_ and 24 to 64 bytes in base64; echo whsec_$(openssl rand -base64 32) makes one"},
		"a secret that is not there": {"version: 1\nwebhooks: [{name: a, url: http://a, secret_env: NOT_THERE}]",
			"alerts.yml:2:49: webhooks[0].secret_env: environment variable NOT_THERE is empty"},
		"a format": {"version: 1\nwebhooks: [{name: a, url: http://a, format: cloudevent, secret_file: secret}]",
			`alerts.yml:2:45: webhooks[0].format: want cloudevents or alertmanager, got "cloudevent" (did you mean "cloudevents"?)`},
		"a header of ours": {"version: 1\nwebhooks: [{name: a, url: http://a, secret_file: secret, headers: {Webhook-Id: {file: token}}}]",
			"alerts.yml:2:80: webhooks[0].headers.Webhook-Id: want the name of a header that signalbox does not set"},
		"a header that is written down": {"version: 1\nwebhooks: [{name: a, url: http://a, secret_file: secret, headers: {Authorization: hunter2-hunter2}}]",
			"alerts.yml:2:83: webhooks[0].headers.Authorization: want {env: NAME} or {file: PATH}, got a value: secrets do not belong into this file"},
		"no peer": {"version: 1\nalertmanager: {urls: []}", "alerts.yml:2:22: alertmanager.urls: want 1 to 16 URLs, one for each peer, got 0"},
		"a label of ours": {"version: 1\nalertmanager: {urls: [http://a], labels: {route: x}}",
			"alerts.yml:2:50: alertmanager.labels.route: want a label that is none of alertname, route, class, network, sender, severity"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.settings, map[string]string{"secret": secretText, "token": "hunter2"})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(allSettings))
	f.Add([]byte("version: 1\nwebhooks: [{}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("alerts.yml", data)
		if err == nil && (s.Version != 1 || s.Source == "") {
			t.Errorf("got %+v of settings without a problem", s)
		}
	})
}

func FuzzSecrets(f *testing.F) {
	f.Add(secretText)
	f.Fuzz(func(t *testing.T, text string) {
		secrets, err := parseSecrets(text)
		for _, s := range secrets {
			if len(s) < 24 || len(s) > 64 || err != nil {
				t.Errorf("got a secret of %d bytes, %v", len(s), err)
			}
		}
	})
}
