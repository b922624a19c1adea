package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
)

// parseWindows reads calendars and windows.
func (p *parser) parseWindows() {
	first := make(map[string]place)
	for _, top := range p.tops {
		for _, e := range top.at("calendars").dictionary() {
			if e.key.repeats(first, e.name, "calendar") {
				continue
			}
			put(&p.calendars, e.name, e.value.dates())
			p.names.calendars = append(p.names.calendars, e.name)
		}
	}
	slices.Sort(p.names.calendars)
	first = make(map[string]place)
	for _, top := range p.tops {
		for _, n := range top.at("windows").list() {
			p.policy.Windows = append(p.policy.Windows, n.window(first))
		}
	}
}

func (n node) window(first map[string]place) Window {
	o := n.object()
	w := Window{place: n.place(), Zone: o.at("zone").zone(), Freeze: Freeze(o.at("freeze").word())}
	if name, ok := o.at("name").name(); ok {
		o.at("name").repeats(first, name, "window")
		w.Name, w.place = name, o.at("name").place()
	}
	w.Classes, w.Networks = o.at("class").classList(), o.at("network").networks()
	w.IgnoreRefusals = o.at("ignore").word() == ignoreRefusals
	for _, item := range o.at("days").list() {
		if at := slices.Index(weekdays, item.word()); at >= 0 {
			w.Days = append(w.Days, time.Weekday(at))
		}
	}
	w.Dates = o.at("dates").dates()
	for _, item := range o.at("calendars").list() {
		w.Dates = append(w.Dates, item.calendar()...)
	}
	w.dayless = (o.has("dates") || o.has("calendars")) && len(w.Dates) == 0
	o.hours(&w)
	return w
}

// hours reads the time of day: from and to of the window, or of what it is outside of.
func (o fields) hours(w *Window) {
	hours := o
	if o.has("outside") {
		if hours = o.at("outside").object(); !hours.present() {
			return
		}
		w.Outside = true
		for _, key := range []string{"from", "to"} {
			if o.has(key) {
				o.values[key].key.say("want only one of from with to, or outside, got both")
			}
		}
	}
	if hours.has("from") != hours.has("to") {
		hours.say("want both from and to, got one of them")
		return
	}
	var from, to bool
	w.From, from = hours.at("from").clock()
	w.To, to = hours.at("to").clock()
	if from && to && w.From == w.To {
		hours.at("to").say("want another time than from, got %s again", hours.at("to").got())
	}
}

func (n node) calendar() []DateSpan {
	name, ok := n.text()
	if !ok {
		return nil
	}
	dates, known := n.p.calendars[name]
	if !known {
		n.say("want a calendar declared under calendars, got %s%s", quote(name), n.p.didYouMean(name, n.p.names.calendars))
	}
	return dates
}

// dates reads a list of days, and of days from one to another.
func (n node) dates() []DateSpan {
	var out []DateSpan
	for _, item := range n.list() {
		s, ok := item.scalar("!!str", "!!timestamp")
		if !ok {
			continue
		}
		from, to, several := strings.Cut(s, "..")
		if !several {
			to = from
		}
		if !isDate(from) || !isDate(to) {
			item.wrong()
		} else if to < from {
			item.say("want days from an earlier to a later one, got %s", quote(s))
		} else {
			out = append(out, DateSpan{from, to})
		}
	}
	return out
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

var clockRegexp = regexp.MustCompile(`^([01][0-9]|2[0-4]):([0-5][0-9])$`)

// clock reads a time of day.
func (n node) clock() (at time.Duration, ok bool) {
	s, ok := n.scalar("!!str", "!!int")
	if !ok {
		return 0, false
	}
	m := clockRegexp.FindStringSubmatch(s)
	if m == nil || m[1] == "24" && m[2] != "00" {
		n.wrong()
		return 0, false
	}
	hours, _ := strconv.Atoi(m[1]) // two digits
	minutes, _ := strconv.Atoi(m[2])
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute, true
}

// zone reads a time zone by its name in the IANA database.
func (n node) zone() *time.Location {
	s, ok := n.text()
	if !ok {
		return time.UTC
	}
	zone, err := time.LoadLocation(s)
	if err != nil || s == "Local" {
		n.wrong()
		return time.UTC
	}
	return zone
}

// WindowsOf are the windows about a lane.
func (p *Policy) WindowsOf(l route.Lane) []*Window {
	var out []*Window
	for i := range p.Windows {
		if p.Windows[i].Concerns(l) {
			out = append(out, &p.Windows[i])
		}
	}
	return out
}
