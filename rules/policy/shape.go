package policy

import (
	"time"

	"signalbox/rules/route"
)

// kind says what a shape is made of.
type kind int

const (
	kindObject    kind = iota // a mapping with known keys
	kindMap                   // a mapping with keys of the author's choice
	kindList                  //
	kindText                  // any text
	kindName                  // text that fits namePattern
	kindWord                  // one of words
	kindNetwork               //
	kindDuration              // bounds are in nanoseconds
	kindPercent               // bounds are in ten-thousandths
	kindInteger               //
	kindNumber                //
	kindRate                  // "50/s"
	kindPrice                 // "0.0312 EUR"
	kindCondition             //
	kindClock                 // a time of day: 21:00
	kindDates                 // a day, or days from one to another: 2026-12-25, 2026-12-24..2026-12-26
)

// shape describes one value of a policy: what the parser accepts there and what the JSON Schema says of it.
type shape struct {
	kind      kind
	want      string   // what an author should write, as in "want …"
	doc       string   // for editors
	keys      []key    // of an object
	names     *shape   // of the keys of a map
	each      *shape   // of the values of a map or list
	words     []string // of a word
	min, max  int64    // of a value, or the least and most entries of a map or list
	byDefault string   // as an author would write it; "" is none
	either    []string // keys of an object of which exactly one is wanted
	pattern   string   // of a text, for editors
	orList    *shape   // of a value that may be a list of such values too
}

// key is one key of an object.
type key struct {
	name     string
	shape    *shape
	required bool
}

// namePattern is what ids and names of the author's choice look like.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`

const (
	maxRoutes     = 10_000
	maxLanes      = 10_000
	maxRules      = 1_000
	maxLaneRoutes = 1_000
	maxListed     = 1_000 // networks, prices and the like of one route
	maxText       = 256   // bytes
	maxRamp       = 20

	day = 24 * time.Hour
)

func object(want, doc string, keys ...key) *shape {
	return &shape{kind: kindObject, want: want, doc: doc, keys: keys}
}

func required(name string, s *shape) key { return key{name: name, shape: s, required: true} }
func optional(name string, s *shape) key { return key{name: name, shape: s} }

func listOf(each *shape, least, most int64, want, doc string) *shape {
	return &shape{kind: kindList, each: each, min: least, max: most, want: want, doc: doc}
}

func mapOf(names, each *shape, least, most int64, want, doc string) *shape {
	return &shape{kind: kindMap, names: names, each: each, min: least, max: most, want: want, doc: doc}
}

func text(want, doc string) *shape { return &shape{kind: kindText, want: want, doc: doc} }

func name(want, doc string) *shape { return &shape{kind: kindName, want: want, doc: doc} }

func word(doc string, words ...string) *shape {
	return &shape{kind: kindWord, want: alternatives(words), doc: doc, words: words}
}

func durationFrom(least, most time.Duration, doc string) *shape {
	return &shape{kind: kindDuration, want: "a duration such as 30s", doc: doc, min: int64(least), max: int64(most)}
}

func percentFrom(least, most int64, doc string) *shape {
	return &shape{kind: kindPercent, want: "a share such as 60%", doc: doc, min: least, max: most}
}

func integerFrom(least, most int64, doc string) *shape {
	return &shape{kind: kindInteger, want: "a whole number", doc: doc, min: least, max: most}
}

func numberFrom(least, most int64, want, doc string) *shape {
	return &shape{kind: kindNumber, want: want, doc: doc, min: least, max: most}
}

func (s *shape) or(def string) *shape {
	t := *s
	t.byDefault = def
	return &t
}

func (s *shape) says(doc string) *shape {
	t := *s
	t.doc = doc
	return &t
}

func (s *shape) exactlyOne(keys ...string) *shape {
	s.either = keys
	return s
}

// key returns what is known of the key called name, or nil.
func (s *shape) key(name string) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

// known are the names of its keys.
func (s *shape) known() []string {
	var out []string
	for _, k := range s.keys {
		out = append(out, k.name)
	}
	return out
}

var (
	routeName = name("a route id", "Id of a route declared under routes.")
	className = name("a class", "A class declared under classes.")
	laneClass = &shape{kind: kindName, want: `a class declared under classes, or "*"`, words: []string{"*"},
		doc: `A class declared under classes; "*" is every class.`}
	network = &shape{kind: kindNetwork, want: `a network such as "234-15", a country such as "GB", or "*"`,
		doc: `An MCC-MNC such as 234-15, a country by its two letters such as GB, or "*" for everywhere.`}
	mode = word("What may be done with a verdict: observe records it, propose waits for a person, act changes the table. "+
		"Of the modes of a lane's class, of a rule and of the command line the most careful wins.",
		string(route.Observe), string(route.Propose), string(route.Act))
)

var policyShape = object("a policy", "Routes, traffic classes, lanes, rules and guards of signalbox. All files of a policy are merged.",
	optional("version", &shape{kind: kindInteger, want: "1", min: 1, max: 1, doc: "Version of this format, in at least one of the files."}),
	optional("routes", mapOf(name("a route id", "Id of the route, as senders see it."), routeShape, 0, maxRoutes,
		"routes by their ids", "The ways to deliver messages.")),
	optional("classes", mapOf(laneClass.says("Name of the class."), classShape, 0, 1000,
		"classes by their names", "How each class of traffic is treated.")),
	optional("lanes", listOf(laneShape, 0, maxLanes, "a list of lanes", "Which routes serve a class to a network.")),
	optional("rules", listOf(ruleShape, 0, maxRules, "a list of rules", "When to demote a route and when to let it back.")),
	optional("guards", guardsShape),
	optional("unknown_after", unknownAfter.or("2m")),
	optional("approval", approval.or("15m")),
	optional("calendars", mapOf(name("the name of a calendar", "Name of the calendar."), dates, 0, 1000,
		"days by the names of calendars", "Days by name, such as public holidays, for windows.")),
	optional("windows", listOf(windowShape, 0, 1000, "a list of windows", "Times in which changes are held, or refusals do not count.")),
)

var (
	unknownAfter = durationFrom(time.Second, day, "How long a condition may stay unknown before it is reported.")
	approval     = durationFrom(time.Second, 30*day, "How long a proposal waits for a person before it expires.")
)

var routeShape = object("a route such as {provider: acme, networks: [GB]}", "One way to deliver messages: an account at a carrier or provider.",
	required("provider", name("the name of the provider", "The company behind the route.")),
	required("networks", listOf(network, 1, maxListed, "a list of networks", "Where the route may be used.")),
	optional("capacity", &shape{kind: kindRate, want: "messages in a time, such as 50/s, 600/m or 9000/h", doc: "What the route can carry, in messages a second (/s), minute (/m) or hour (/h)."}),
	optional("price", mapOf(network, &shape{kind: kindPrice, want: "a price such as 0.0312 EUR", doc: "Price of one message: a decimal amount and a currency."},
		0, maxListed, "prices by network, such as {GB: 0.0312 EUR}", "Price of one message by network; the most specific network counts.")),
	optional("trickle", percentFrom(0, 5000, "Share of its traffic that the route keeps while demoted, so that evidence stays fresh.").or("0%")),
	optional("senders", mapOf(className, listOf(network, 0, maxListed, "a list of networks", "Networks in which sender IDs are registered."),
		0, maxListed, "networks by class, such as {otp: [GB]}", "Where sender IDs are registered, by class, and the route may thus be a fallback. A class that is absent is registered everywhere.")),
	optional("tags", mapOf(text("the name of a tag", "Name of the tag."), text("text", "Value of the tag."),
		0, 100, "texts by name, such as {tier: gold}", `Free words that conditions can read, as in route.tags["tier"] == "gold".`)),
)

var classShape = object("a class such as {mode: observe, within: 30s}", "How a class of traffic is treated.",
	optional("mode", mode.or(string(route.Observe))),
	optional("within", durationFrom(time.Second, 30*day, "The time in which a message should arrive.")),
	optional("objective", percentFrom(1, 10000, "The share of messages that should arrive within that time.")),
	optional("select", word("How lanes choose among their routes: the first active one of an order, or all by share. "+
		"Where it is absent, a lane with share is weighted.", string(Ordered), string(Weighted))),
	optional("retry_after", durationFrom(0, day, "When a sender that heard nothing may try the next route.")),
	optional("receipt_deadline", durationFrom(0, 30*day, "Missing receipts younger than this are ignored. Default 0s where within is under 5m, else 5m.")),
	optional("unknown_after", unknownAfter),
	optional("approval", approval),
)

var laneShape = object("a lane such as {class: otp, network: GB, order: [acme-uk, bolt-uk]}", "Which routes serve a class to a network.",
	required("class", laneClass),
	required("network", network),
	optional("order", listOf(routeName, 1, maxLaneRoutes, "a list of route ids", "Routes, the most wanted first.")),
	optional("share", mapOf(routeName, numberFrom(0, 1_000_000, "a weight such as 60", "Weight of the route."), 1, maxLaneRoutes,
		"weights by route id, such as {acme-uk: 60, bolt-uk: 40}", "Routes with their weights; only their proportions count.")),
).exactlyOne("order", "share")

var ruleShape = object("a rule with name, class, demote and promote", "A named pair of conditions: when to demote a route and when to let it back.",
	required("name", name("the name of the rule", "Name of the rule, in decisions and alerts.")),
	required("class", listOf(laneClass, 1, 1000, `a list of classes such as [otp], or ["*"]`, "Classes whose lanes the rule judges.")),
	optional("per", word("What the rule judges and moves: a route in a lane; a route on each MCC-MNC seen in the lane; a route in all its lanes at once.",
		string(PerLane), string(PerNetwork), string(PerRoute)).or(string(PerLane))),
	optional("mode", mode),
	required("demote", demoteShape),
	required("promote", promoteShape),
	optional("hold_down", holdDownShape),
)

var demoteShape = object("when to demote, such as {when: delivery.evidence >= 12.0}", "When a route leaves a lane.",
	required("when", condition),
	optional("for", lasting.or("0s")),
)

var promoteShape = object("when a demoted route may come back, such as {when: delivery.recovered >= 4.6}", "When a demoted route comes back.",
	required("when", condition),
	optional("for", lasting.or("0s")),
	optional("ramp", listOf(percentFrom(1, route.FullShare, "Share of its traffic that the route gets."), 1, maxRamp,
		"rising shares such as [5%, 25%, 100%]", "Shares of the way back, rising to 100%; each step needs the condition again. Default [100%].")),
	optional("step", durationFrom(0, day, "How long the route stays at each share of the ramp at least.").or("2m")),
	optional("mode", mode),
)

var (
	condition = &shape{kind: kindCondition, want: "a condition such as delivery.evidence >= 12.0",
		doc: "A condition over signals, such as delivery.evidence >= 12.0 && delivery.messages >= 5.0. A part that is not known makes the condition unknown, unless the rest decides it."}
	lasting = durationFrom(0, day, "How long the condition must have been known and true.")
)

var holdDownShape = object("hold_down such as {base: 5m, factor: 2, max: 4h, decay: 6h}", "How long a demoted route stays out at least: base × factor^relapses.",
	optional("base", durationFrom(0, 30*day, "The hold-down of a first demotion.").or("5m")),
	optional("factor", numberFrom(1, 100, "a factor", "By what each relapse multiplies it.").or("2")),
	optional("max", durationFrom(0, 30*day, "The longest hold-down. Default 4h, or base where that is longer.")),
	optional("decay", durationFrom(0, 365*day, "A demotion within this time of the last promotion is a relapse.").or("6h")),
)

var guardsShape = object("guards such as {min_active: 1, settle: 60s}", "Safety rules over the state that a change would leave.",
	optional("min_active", integerFrom(1, maxLaneRoutes, "Routes that stay active in every lane; 1 cannot be lowered.").or("1")),
	optional("common_cause", object("common_cause such as {share: 60%, wait: 60s}", "Holds demotions while much of a lane suffers at once.",
		optional("share", percentFrom(1, route.FullShare, "Share of the lane's routes that suffer.").or("60%")),
		optional("wait", guardWait("How long an unclear comparison holds a demotion.").or("60s")))),
	optional("corroborate", object("corroborate such as {class: [otp], wait: 40s}", "Asks a second channel before missing or late receipts alone demote. Absent, it is off.",
		required("class", listOf(laneClass, 1, 1000, `a list of classes such as [otp], or ["*"]`, "Classes to which it applies.")),
		optional("signals", listOf(word("Evidence that needs a second channel.", "silence", "latency"), 1, 2, "a list of silence and latency", "Evidence that needs a second channel. Default both.")),
		optional("wait", guardWait("How long to wait for the second channel.").or("40s")))),
	optional("velocity", object("velocity such as {changes: 2, in: 10m}", "Bounds the changes of a lane.",
		optional("changes", integerFrom(1, 1000, "Changes of one lane in that time.").or("2")),
		optional("in", durationFrom(time.Second, 30*day, "The time in which they are counted.").or("10m")))),
	optional("settle", guardWait("Rest of a lane after a change.").or("60s")),
	optional("max_demoted", percentFrom(1, route.FullShare, "Share of a lane's routes that may be out at once, judged after the change and rounded down; one always may where two are active.")),
	optional("capacity", word("What becomes of a change that the remaining routes cannot carry, by their capacity and the lane's measured rate.",
		string(ThenHold), string(ThenPropose)).or(string(ThenHold))),
	optional("price_rise", object("price_rise such as {limit: 50%, then: propose}", "Bounds how much dearer a change may make a message of the lane.",
		required("limit", &shape{kind: kindPercent, want: "how much dearer, such as 50%", doc: "How much dearer, as a share of the price before.", min: 1, max: 99_900}),
		optional("then", word("What becomes of a change beyond it.", string(ThenHold), string(ThenPropose)).or(string(ThenPropose))))),
)

// ignoreRefusals is what a window may leave uncounted.
const ignoreRefusals = "refusals"

// weekdays are the days by the numbers of time.Weekday.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var (
	dates = listOf(&shape{kind: kindDates, want: "a day such as 2026-12-25, or days such as 2026-12-24..2026-12-26", doc: "A day, or days from one to another, both with them."},
		0, maxListed, "a list of days", "Days of the calendar.")
	clock = &shape{kind: kindClock, want: "a time of day such as 21:00", doc: "A time of day, from 00:00 to 24:00."}
)

var windowShape = object("a window such as {name: weekend, freeze: promotions, days: [sat, sun], zone: Europe/London}",
	"A recurring time in which changes are held, or refusals do not count.",
	required("name", name("the name of the window", "Name of the window, in decisions.")),
	optional("freeze", word("Which changes are held.", string(FreezePromotions), string(FreezeDemotions), string(FreezeChanges))),
	optional("ignore", word("What does not speak against a route: refused submits and receipts that say failed, as where a regulator closes the night to advertising.", ignoreRefusals)),
	optional("class", listOf(laneClass, 1, 1000, `a list of classes such as [bulk]`, "Classes of the lanes it is about. Default every class.")),
	optional("network", listOf(network, 1, maxListed, "a list of networks", "Networks that the lanes it is about lie in. Default every lane.")),
	optional("days", listOf(word("A day of the week.", weekdays...), 1, 7, "a list of days such as [sat, sun]", "Days on which it is open. Without days, dates and calendars it is every day.")),
	optional("dates", dates.says("Days beside those of the week.")),
	optional("calendars", listOf(name("the name of a calendar", "A calendar declared under calendars."), 1, 100, "a list of calendars", "Calendars whose days count beside those of the week.")),
	optional("from", clock.says("When it opens; with to. Default the whole day.")),
	optional("to", clock.says("When it closes. Before from, it is the next day.")),
	optional("outside", object(`outside such as {from: "10:00", to: "21:00"}`, "The window is open outside this time of day.",
		required("from", clock), required("to", clock))),
	optional("zone", text("a time zone such as Europe/London", "Time zone of days and times, by its name in the IANA database.").or("UTC")),
).exactlyOne("freeze", "ignore")

func guardWait(doc string) *shape { return durationFrom(0, day, doc) }
