package main

import (
	"fmt"
	"sort"

	"signalbox/rules/route"
)

// decisionLine is one decision in one line for people.
func decisionLine(d *route.Decision) string {
	what := string(d.From) + " → " + string(d.To)
	if !d.Enforced {
		what = "(" + what + ")"
	}
	return fmt.Sprintf("%s  %-12s %-12s %-24s %-11s %s: %s", d.Time.UTC().Format("2006-01-02 15:04:05"), d.Lane, d.Route, what, d.Reason, d.Rule, d.Text)
}

func sortedIDs[V any](m map[route.ID]V) []route.ID {
	ids := make([]route.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}
