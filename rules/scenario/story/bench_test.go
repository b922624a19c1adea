package story

import (
	"testing"

	"signalbox/rules/policy"
)

// A story of twenty minutes with ten messages a second, a demotion and the way back.
func BenchmarkPlay(b *testing.B) {
	f, err := Parse(policy.File{Name: "s", Data: []byte(test(trouble, "{at: 20m, lane: otp/GB, route: acme-uk, phase: active}"))})
	p := testPolicy(b)
	if bound := f.Bind(p); err != nil || bound != nil {
		b.Fatal(err, bound)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := f.Play(&f.Tests[0], p); len(r.Failures) > 0 {
			b.Fatal(r.Failures)
		}
	}
	b.ReportMetric(f.Tests[0].messages()*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkParse(b *testing.B) {
	p := testPolicy(b)
	text := []byte(test(trouble, "{at: 20m, lane: otp/GB, route: acme-uk, phase: active}"))
	for b.Loop() {
		f, err := Parse(policy.File{Name: "s", Data: text})
		if bound := f.Bind(p); err != nil || bound != nil {
			b.Fatal(err, bound)
		}
	}
}
