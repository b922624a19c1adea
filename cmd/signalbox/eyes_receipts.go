package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"signalbox/probes/receipts"
	"signalbox/rules/route"
)

// formats are the webhooks of providers, with the keys that the settings have for them, and the routes of connectors.
func (e *eyes) formats() ([]receipts.Format, map[string]route.ID, error) {
	now := e.current()
	if now == nil {
		return receipts.All(nil, nil), nil, nil
	}
	asked := &now.settings.Receipts
	keys := map[string]receipts.Keys{}
	var wrongs []error
	for name, k := range asked.Keys {
		one := receipts.Keys{URL: k.URL, Topics: k.Topics}
		for i, secret := range k.Secrets {
			value, err := secret.Read()
			if err != nil {
				wrongs = append(wrongs, fmt.Errorf("receipts.keys.%s.secrets[%d]: %w", name, i, err))
			}
			one.Secrets = append(one.Secrets, value)
		}
		keys[name] = one
	}
	return receipts.All(keys, fetchSmall), asked.Routes, errors.Join(wrongs...)
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
