package settings

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"signalbox/rules/route"
)

// Looks are how a route is looked at, by the kind of what is seen: bind, handset, and so on. Every is that of the slowest
// way, Recheck 0 where a failure is not looked at again soon.
func (s *Settings) Looks(id route.ID) map[string]Times {
	out := map[string]Times{}
	r := s.Routes[id]
	if p := r.SMPP; p != nil {
		kinds := []string{"tcp", "bind", "enquire"}
		if p.TLS != nil {
			kinds = append(kinds, "tls")
		}
		for _, kind := range kinds {
			out[kind] = Times{p.Every, p.Recheck, p.Timeout}
		}
		message(out, r.Message, p.Timeout)
	}
	if h := r.HTTP; h != nil {
		look := Times{h.Every, s.Defaults.Recheck, h.Timeout}
		if h.Message != nil {
			look.Recheck = 0
		}
		out["http"] = look
		message(out, h.Message, h.Timeout)
	}
	for _, list := range [...][]Gateway{s.Collectors.Kannel, s.Collectors.Jasmin} {
		for i := range list {
			gatewayLooks(out, id, &list[i])
		}
	}
	return out
}

// message adds what is seen of messages.
func message(out map[string]Times, m *Message, submit route.Duration) {
	if m == nil {
		return
	}
	out["submit"] = Times{m.Every, 0, submit}
	if m.Receipt > 0 {
		out["receipt"] = Times{m.Every, 0, m.Receipt}
	}
	if m.Handset > 0 {
		out["handset"] = Times{m.Every, 0, m.Handset}
	}
}

// gatewayLooks adds what a gateway tells of a link. Where the settings name no links, each may be the route's own id.
func gatewayLooks(out map[string]Times, id route.ID, g *Gateway) {
	if len(g.Routes) > 0 && !slices.Contains(slices.Collect(maps.Values(g.Routes)), id) {
		return
	}
	for _, kind := range [...]string{"bind", "queue", "throttle"} {
		if _, probed := out[kind]; !probed {
			out[kind] = Times{g.Every, 0, g.Every}
		}
	}
}

// Advice is what is allowed and probably not meant: budgets that are spent before the day is over, after which nobody looks.
func (s *Settings) Advice() Problems {
	var out Problems
	var all need
	for _, id := range names(s.Routes) {
		for _, at := range [...]struct {
			path string
			m    *Message
		}{{"message", s.Routes[id].Message}, {"http.message", s.Routes[id].sentByHTTP()}} {
			if at.m == nil {
				continue
			}
			one := needOf(at.m)
			all = all.plus(one)
			out = append(out, s.spent("routes."+string(id)+"."+at.path+".budget", at.m.Budget, one)...)
		}
	}
	out = append(out, s.spent("budget", s.Budget, all)...)
	out.Sort()
	return out
}

func (r Route) sentByHTTP() *Message {
	if r.HTTP == nil {
		return nil
	}
	return r.HTTP.Message
}

const day = 24 * time.Hour

// need is what probes of messages would use of a budget in a day at most.
type need struct {
	messages int
	money    decimal.Decimal
}

func needOf(m *Message) need {
	n := int((day + m.Every.D() - 1) / m.Every.D())
	return need{n, m.Price.Amount.Mul(decimal.NewFromInt(int64(n)))}
}

func (n need) plus(m need) need { return need{n.messages + m.messages, n.money.Add(m.money)} }

// spent says when in a day of UTC a budget is spent.
func (s *Settings) spent(path string, b Budget, n need) (out Problems) {
	say := func(name, want, got string, part float64) {
		at := time.Time{}.Add(time.Duration(part * float64(day))).Format("15:04")
		out = append(out, s.Problem(path+"."+name, fmt.Sprintf("want %s, which is what a whole day takes at most, got %s: it is spent at about %s UTC, and until midnight no message is sent and what asks for them is unknown", want, got, at)))
	}
	if b.Messages > 0 && n.messages > b.Messages {
		say("messages", fmt.Sprint(n.messages), fmt.Sprint(b.Messages), float64(b.Messages)/float64(n.messages))
	}
	if b.Money.Known() && n.money.GreaterThan(b.Money.Amount) {
		want := route.Price{Amount: n.money, Currency: b.Money.Currency}
		say("money", want.String(), b.Money.String(), b.Money.Amount.Div(n.money).InexactFloat64())
	}
	return out
}
