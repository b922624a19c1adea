package alert

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"signalbox/rules/route"
)

// bodyMost bounds what is posted, in bytes: Standard Webhooks asks receivers to take 20 kB.
const bodyMost = 20_000

// cloudEvent is an event after CloudEvents 1.0, in its structured JSON form.
type cloudEvent struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Sequence    string    `json:"sequence,omitempty"` // the generation
	Data        eventData `json:"data"`
}

// eventData is what is told beside the envelope.
type eventData struct {
	Summary  string          `json:"summary"`
	Text     string          `json:"text,omitempty"`
	Severity string          `json:"severity"`
	Over     bool            `json:"over"` // it says that something has ended
	Class    route.Class     `json:"class,omitempty"`
	Network  route.Network   `json:"network,omitempty"`
	Route    route.ID        `json:"route,omitempty"`
	Sender   string          `json:"sender,omitempty"`
	Since    time.Time       `json:"since,omitzero"`
	URL      string          `json:"url,omitempty"`      // where it is explained
	Decision *route.Decision `json:"decision,omitempty"` // as the journal has it; lists that would be too long are left out
}

// request is what is posted to a receiver.
type request struct {
	body    []byte
	headers http.Header
}

// render makes the request for an event, but for the signature, which each attempt makes anew.
func (h *hook) render(s *Settings, e *Event) request {
	r := request{headers: http.Header{}}
	encode, kind := cloudEventBody, "application/cloudevents+json"
	if h.format == FormatAlertmanager {
		encode, kind = alertmanagerBody, "application/json"
	}
	r.headers.Set("Content-Type", kind)
	r.body = fitting(e, func(e *Event) []byte { return encode(s, h.name, e) })
	return r
}

// fitting leaves out of an event what makes it too long: the parts of its decision first, then the ends of its texts.
func fitting(e *Event, encode func(*Event) []byte) []byte {
	body := encode(e)
	for most := 4000; len(body) > bodyMost && most > 0; most /= 2 {
		short := *e
		if d := e.Decision; d != nil {
			bare := *d
			bare.Alternatives, bare.Guards, bare.Inputs, bare.Text = nil, nil, nil, clip(d.Text, most)
			short.Decision = &bare
		}
		short.Text, short.Summary = clip(e.Text, most), clip(e.Summary, most)
		body = encode(&short)
	}
	return body
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func cloudEventBody(s *Settings, _ string, e *Event) []byte {
	a := e.About
	return encoded(cloudEvent{SpecVersion: "1.0", ID: e.ID, Source: s.Source, Type: "signalbox." + string(e.Type), Subject: a.subject(),
		Time: e.Time.UTC(), ContentType: "application/json", Sequence: sequence(e.Generation),
		Data: eventData{Summary: e.Summary, Text: e.Text, Severity: natures[a.Kind].severity, Over: e.Over, Class: a.Class, Network: a.Network,
			Route: a.Route, Sender: a.Sender, Since: e.Since, URL: explainURL(s, a), Decision: e.Decision}})
}

func sequence(g route.Generation) string {
	if g == (route.Generation{}) {
		return ""
	}
	return g.String()
}

// encoded is v as JSON. Its values have come out of JSON, so there is none that JSON has not.
func encoded(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return body
}

// hookPayload is Alertmanager's own webhook payload, version 4 (its notify/webhook/webhook.go and template/template.go).
type hookPayload struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []hookAlert       `json:"alerts"`
}

type hookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // the year 1 while it lasts
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

func alertmanagerBody(s *Settings, receiver string, e *Event) []byte {
	labels, annotations := e.About.labels(nil), map[string]string{"summary": e.Summary, "event": "signalbox." + string(e.Type)}
	if e.Text != "" {
		annotations["description"] = e.Text
	}
	if e.Decision != nil {
		annotations["decision"] = e.Decision.ID
	}
	a := hookAlert{Status: "firing", Labels: labels, Annotations: annotations, StartsAt: e.Time.UTC(), GeneratorURL: explainURL(s, e.About), Fingerprint: fingerprint(labels)}
	if !e.Since.IsZero() {
		a.StartsAt = e.Since.UTC()
	}
	if e.Over {
		a.Status, a.EndsAt = "resolved", e.Time.UTC()
	}
	return encoded(hookPayload{Version: "4", GroupKey: groupKey(labels), Status: a.Status, Receiver: receiver, GroupLabels: labels,
		CommonLabels: labels, CommonAnnotations: annotations, ExternalURL: s.ExternalURL, Alerts: []hookAlert{a}})
}

// fingerprint is Alertmanager's of the same labels.
func fingerprint(labels map[string]string) string { return labelSet(labels).Fingerprint().String() }

// groupKey is Alertmanager's of a group by all labels.
func groupKey(labels map[string]string) string { return "{}:" + labelSet(labels).String() }

func labelSet(labels map[string]string) model.LabelSet {
	set := make(model.LabelSet, len(labels))
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set
}

// explainURL is where the console or the API explains what an alert is about; "" where nobody knows under which URL.
func explainURL(s *Settings, a About) string {
	if s.ExternalURL == "" {
		return ""
	}
	base := strings.TrimSuffix(s.ExternalURL, "/")
	if a.Route == "" || a.Class == "" {
		return base + "/"
	}
	return base + "/api/v1/explain?" + query("route", string(a.Route), "class", string(a.Class), "network", string(a.Network))
}

// stamped adds to a request what each attempt has anew, and which of them it is.
func (h *hook) stamped(r request, id string, at time.Time) http.Header {
	headers := r.headers.Clone()
	if len(h.secrets) > 0 {
		headers.Set("webhook-id", id)
		headers.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		headers.Set("webhook-signature", signature(h.secrets, id, at, r.body))
	}
	return headers
}
