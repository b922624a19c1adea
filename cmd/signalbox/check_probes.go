package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"signalbox/probes"
	"signalbox/probes/settings"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// checkProbes notes what is wrong with the settings of probes, and what might be; "" is no file.
func (c *checked) checkProbes(file string) error {
	if file == "" {
		return nil
	}
	var advice settings.Problems
	s, err := tryProbes(file, func(p settings.Problem) { advice = append(advice, p) })
	var problems settings.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			c.Problems = append(c.Problems, ofSettings(p))
		}
	case err != nil:
		return wrong("--probes.file names the settings of probes, a file of YAML", strip(err))
	default:
		c.probes, advice = s, append(advice, s.Advice()...)
		advice.Sort()
		for _, p := range advice {
			c.Advice = append(c.Advice, ofSettings(p))
		}
	}
	return nil
}

func ofSettings(p settings.Problem) policy.Problem {
	return policy.Problem{File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Message: p.Text}
}

// tryProbes reads settings and makes all that they ask for, as run would, but looks at nothing and writes nothing. Secrets
// that are not here are told to absent.
func tryProbes(file string, absent func(settings.Problem)) (*settings.Settings, error) {
	s, err := settings.Load(file)
	if err != nil {
		return nil, err
	}
	ledger, err := probes.OpenLedger("")
	if err != nil {
		return nil, err
	}
	e := &eyes{box: probes.NewMailbox(), ledger: ledger, o: eyesOptions{file: file, logger: slog.New(slog.DiscardHandler), absent: absent,
		sink: func(context.Context, []route.Observation) error { return nil }}}
	_, err = e.build(s)
	return s, err
}

// compare holds the settings of probes against the policy: which routes and kinds nobody looks at, which routes are meant
// for others, and how fast rules about probes are.
func (c *checked) compare(o *checkOptions) {
	p, s := c.policy, c.probes
	if p == nil || s == nil {
		return
	}
	ids, known := make([]string, len(p.Routes)), map[route.ID]bool{}
	for i := range p.Routes {
		ids[i], known[p.Routes[i].ID] = string(p.Routes[i].ID), true
	}
	for _, id := range slices.Sorted(maps.Keys(s.Routes)) {
		if !known[id] {
			text := fmt.Sprintf("want a route of the policy, got %q%s: what is seen of it counts nowhere", id, meant(string(id), ids))
			c.Advice = append(c.Advice, ofSettings(s.Problem("routes."+string(id), text)))
		}
	}
	c.Advice = append(c.Advice, p.AdviseProbes(func(id route.ID) []string { return slices.Collect(maps.Keys(s.Looks(id))) })...)
	o.assumes.Looks = slowest(s, known)
}

// slowest is how the slowest probe of each kind looks at a route of the policy.
func slowest(s *settings.Settings, known map[route.ID]bool) map[string]policy.Looking {
	out := map[string]policy.Looking{}
	for id := range known {
		for kind, t := range s.Looks(id) {
			l := out[kind]
			recheck := t.Recheck.D()
			if recheck == 0 {
				recheck = t.Every.D()
			}
			out[kind] = policy.Looking{Every: max(l.Every, t.Every.D()), Recheck: max(l.Recheck, recheck), Timeout: max(l.Timeout, t.Timeout.D())}
		}
	}
	return out
}

// probesText says what settings ask for.
func probesText(s *settings.Settings) string {
	messages := 0
	for _, r := range s.Routes {
		if r.Message != nil || r.HTTP != nil && r.HTTP.Message != nil {
			messages++
		}
	}
	collectors := len(s.Collectors.Prometheus) + len(s.Collectors.Kannel) + len(s.Collectors.Jasmin)
	return fmt.Sprintf("ok: %s looked at, %s by messages, %s of test phones, %s", plural(len(s.Routes), "route"), plural(messages, "route"), plural(len(s.Inbound), "webhook"), plural(collectors, "collector"))
}
