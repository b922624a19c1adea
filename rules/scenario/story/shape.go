package story

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Schema is the JSON Schema (draft 2020-12) of a file of stories, made from the same tables that Parse reads.
func Schema() []byte { return fileShape.Schema("signalbox stories") }

const (
	wantLine    = "a line such as at 2m: acme-uk delivered 40%"
	durationRE  = `([0-9]+(d|h|m|s|ms|us|ns))+|0`
	wantLane    = `a lane such as "otp/GB"`
	wantSamples = "values in promtool's notation, such as 1x10 0x30 _x5 stale"
)

var onePath = policy.WantText("the policy's folder or file", "A folder or a file of the policy.", "")

var fileShape = policy.WantObject("a file of stories", "Stories about a policy: what is observed when, and what must be decided and why. signalbox test plays them.",
	policy.Optional("policy", onePath.Either(policy.WantList(onePath, 1, 100, "folders and files of the policy", "Folders and files that are the policy together.")).
		Says("The policy's folder or file, or a list of them, seen from the folder of this file. Default: this folder.")),
	policy.Optional("start", policy.WantText("a time of RFC 3339 such as 2026-01-05T12:00:00Z, on whole five seconds", "The moment 0s of every test. Default Monday 2026-01-05T12:00:00Z.", "")),
	policy.Optional("interval", policy.WantDuration(time.Second, time.Hour, "The time from one value of a series to the next.").Or("5s")),
	policy.Optional("seed", seed),
	policy.Optional("cold", cold),
	policy.Optional("observe", observeShape.Says("What every test of this file observes, before its own lines.")),
	policy.Required("tests", policy.WantList(testShape, 1, maxTests, "a list of tests", "The stories.")),
)

var (
	seed = policy.WantInteger(0, 1<<31-1, "Seed of all that is left to chance. With 0 nothing is: 40% of 10/s are four messages of every ten.").Or("0")
	cold = policy.WantTruth("Whether nothing is known of what is normal. By default what the lines at 0s say is normal, and is known.")
)

var testShape = policy.WantObject("a test with name, observe and expect", "One story.",
	policy.Required("name", policy.WantText("the name of the test: what it claims", "What the story claims, in a few words.", "")),
	policy.Optional("mode", policy.WantWord("The most that may be done with any verdict.", string(route.Observe), string(route.Propose), string(route.Act)).Or(string(route.Act))),
	policy.Optional("seed", seed),
	policy.Optional("cold", cold),
	policy.Optional("lasts", policy.WantDuration(signal.Tick, longest, "How long the story is played. Default: until everything in it has happened.")),
	policy.Optional("observe", observeShape),
	policy.Optional("series", policy.WantMap(policy.WantText(`a signal such as delivery.evidence{route="acme-uk"}`, `A signal with a route, such as probe["bind"].ok{route="acme-uk"}.`, ""),
		policy.WantRaw(wantSamples, "Values from 0s on, one each interval: 1x3 is four times 1, 1+2x3 is 1 3 5 7, _ says nothing, stale says that nothing is known.", samplePattern),
		1, maxLines, "values by signal", "Results of probes, and signals that are forced to have values.")),
	policy.Required("expect", policy.WantList(expectShape, 1, maxLines, "a list of what must be decided", "What must be so when, and what must be decided.")),
)

var oneLine = policy.WantRaw(wantLine, "What is so from that moment on: traffic (otp 234-15 10/s), how messages fare (acme-uk delivered 40%), a probe (acme-uk probe bind fails), a source (gw-1 silent).", "")

var observeShape = policy.WantList(
	policy.WantMap(policy.WantText("a moment such as at 2m", "The moment, from the beginning of the story.", `^at\s+(`+durationRE+`)$`),
		oneLine.Either(policy.WantList(oneLine, 1, 1000, "a list of lines", "Several lines of one moment.")),
		1, 100, wantLine, "Lines by their moment, such as at 2m: acme-uk delivered 40%"),
	1, maxLines, "a list of lines such as at 2m: acme-uk delivered 40%", "What is observed when.")

// subjectKeys say which lane and route something is about.
func subjectKeys() []policy.Key {
	return []policy.Key{
		policy.Optional("lane", policy.WantText(wantLane, `The lane, such as otp/GB. It may be left out where the policy has one lane that fits.`, `^[^/]+/(\*|[A-Z]{2}|[0-9]{3}-[0-9]{2,3})$`)),
		policy.Optional("class", policy.WantText("a class", "The class of the lane, in place of lane.", "")),
		policy.Optional("network", policy.WantNetwork("The network of the lane, in place of lane.")),
		policy.Optional("route", policy.WantText("a route id", "The route.", "")),
	}
}

// stateKeys are facts that hold for a time.
func stateKeys() []policy.Key {
	routeID := policy.WantText("a route id", "Id of a route.", "")
	return []policy.Key{
		policy.Optional("phase", policy.WantWord("Where the route stands.", string(route.Active), string(route.Recovering), string(route.Demoted))),
		policy.Optional("share", policy.WantShare("The route's share of the lane.")),
		policy.Optional("admin", policy.WantWord("The operator's word on the route.", string(route.AdminAuto), string(route.AdminPinned), string(route.AdminDrained))),
		policy.Optional("order", policy.WantList(routeID, 1, 100, "a list of route ids", "The routes of the lane's table, in the order to try.")),
		policy.Optional("shares", policy.WantMap(routeID, policy.WantShare("Share of the lane."), 1, 100, "shares by route id, such as {acme-uk: 60%, bolt-uk: 40%}", "Shares of the lane's routes.")),
		policy.Optional("when", policy.WantCondition("A condition that is true of the route's signals at that moment, such as delivery.evidence >= 12 or !delivery.known.")),
	}
}

// decisionKeys are facts of one decision.
func decisionKeys() []policy.Key {
	return []policy.Key{
		policy.Optional("to", policy.WantWord("The phase that the verdict leads to, whether or not the route went there.", string(route.Active), string(route.Recovering), string(route.Demoted))),
		policy.Optional("rule", policy.WantText("the name of a rule", "The rule that asked for it.", "")),
		policy.Optional("reason", policy.WantWord("Why it was decided, or was not, in a word.", reasonWords...)),
		policy.Optional("mode", policy.WantWord("The mode in force.", string(route.Observe), string(route.Propose), string(route.Act))),
		policy.Optional("enforced", policy.WantTruth("Whether the table was changed.")),
		policy.Optional("text", policy.WantText("a part of the text", "A part of the decision's text.", "")),
		policy.Optional("guard", policy.WantText("the name of a guard", "The guard that held it or lowered its mode.", "")),
		policy.Optional("price_change", policy.WantText("a change of price such as +5.8%", "The price of the next message against the last one.", "")),
	}
}

var reasonWords = []string{string(route.RuleMatched), string(route.RuleCleared), string(route.GuardHeld), string(route.Proposed),
	string(route.Approved), string(route.Rejected), string(route.Expired), string(route.ShadowOnly), string(route.HoldDown),
	string(route.Settling), string(route.InFlight), string(route.Frozen), string(route.Unknown), string(route.LowEvidence),
	string(route.OverrideSet), string(route.OverrideEnded), string(route.PolicyChanged), string(route.LeaderChanged), string(route.Restored)}

func momentOf(doc string) policy.Shape { return policy.WantDuration(0, longest, doc) }

var neverShape = policy.WantObject("what must not be, such as {route: acme-uk, phase: demoted}", "What must not be so, and must not be decided, in any round.",
	concat(subjectKeys(), stateKeys(), decisionKeys())...)

var decisionShape = policy.WantObject("a decision such as {at: 2m30s, route: acme-uk, to: demoted}", "One decision.",
	concat([]policy.Key{
		policy.Optional("at", momentOf("When it is made.")),
		policy.Optional("within", momentOf("By how much later it may be made.")),
	}, subjectKeys(), decisionKeys())...)

var expectShape = policy.WantObject("what must be so, such as {at: 4m, route: acme-uk, phase: demoted}", "What must be so at a moment, what must never be so, or which decisions are made.",
	concat([]policy.Key{
		policy.Optional("at", momentOf("When it must be so. Facts of a decision then are those of the last one about the route.")),
		policy.Optional("within", momentOf("It may also become so by so much later; facts of a decision then are those of one made in that time.")),
		policy.Optional("never", neverShape),
		policy.Optional("decisions", policy.WantList(decisionShape, 0, 1000, "a list of decisions", "All decisions of the lane, the route and the kind that stand beside it, and no others; [] is none.")),
		policy.Optional("from", momentOf("Beside never and decisions: from when. Default 0s.")),
		policy.Optional("until", momentOf("Beside never and decisions: until when. Default until the end.")),
	}, subjectKeys(), stateKeys(), decisionKeys())...).ExactlyOne("at", "never", "decisions")

func concat(all ...[]policy.Key) []policy.Key {
	var out []policy.Key
	for _, keys := range all {
		out = append(out, keys...)
	}
	return out
}
