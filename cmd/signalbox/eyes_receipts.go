package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"signalbox/probes/inbound"
	"signalbox/probes/receipts"
	"signalbox/probes/settings"
)

// webhooks are those of providers, with the keys that the settings have for them, and those of test phones.
func (b *builder) webhooks(s *settings.Settings) {
	keys := map[string]receipts.Keys{}
	for _, name := range slices.Sorted(maps.Keys(s.Receipts.Keys)) {
		k := s.Receipts.Keys[name]
		one := receipts.Keys{URL: k.URL, Topics: k.Topics}
		for i, secret := range k.Secrets {
			one.Secrets = append(one.Secrets, b.secret(fmt.Sprintf("receipts.keys.%s.secrets[%d]", name, i), secret))
		}
		keys[name] = one
	}
	var err error
	b.receipts, err = receipts.NewSet(receipts.All(keys, fetchSmall), s.Receipts.Routes)
	b.bad("receipts", err)

	var formats []inbound.Format
	for _, name := range slices.Sorted(maps.Keys(s.Inbound)) {
		in := s.Inbound[name]
		if secret := b.secret("inbound."+name+".secret", in.Secret); secret != "" {
			formats = append(formats, inbound.Format{Name: name, Secret: secret, From: in.From, To: in.To, Text: in.Text})
		}
	}
	test := map[string]bool{}
	for _, n := range s.Numbers {
		test[n.Number] = true
	}
	b.inbound, err = inbound.NewSet(formats, func(digits string) bool { return test[digits] })
	b.bad("inbound", err)
}

// Bounds of what a webhook may make us fetch.
const (
	fetchWithin = 5 * time.Second
	fetchMost   = 64 << 10
)

// fetchSmall gets a small document. It follows no redirects: the URL was checked, and where it would lead was not.
func fetchSmall(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("got %s", response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, fetchMost))
}
