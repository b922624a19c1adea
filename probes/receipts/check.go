package receipts

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"signalbox/rules/route"
)

const (
	maxID   = 256 // bytes of a message id
	maxName = 64  // bytes of a route id or a class
	maxCode = 32  // bytes of an error code
)

var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// check holds what a format made to the bounds of every observation. A submit has its key; a receipt has its key and its
// submit time, or none of them.
func (h *Handler) check(o *route.Observation, now time.Time) error {
	switch {
	case !isName(string(o.Route)):
		return fmt.Errorf("route: want a route id, got %q", short(string(o.Route)))
	case o.Message == "" || len(o.Message) > maxID || !utf8.ValidString(o.Message):
		return fmt.Errorf("id: want a message id of 1 to %d bytes, got %q", maxID, short(o.Message))
	case len(o.Code) > maxCode:
		return fmt.Errorf("code: want at most %d bytes, got %q", maxCode, short(o.Code))
	}
	if err := checkKey(o); err != nil {
		return err
	}
	if err := h.checkTime("time", o.Time, now); err != nil {
		return err
	}
	if !o.Submitted.IsZero() {
		if err := h.checkTime("submit time", o.Submitted, now); err != nil {
			return err
		}
	}
	return h.checkKnown(o.Route)
}

func checkKey(o *route.Observation) error {
	if o.Kind != route.KindSubmit && o.Submitted.IsZero() {
		return nil
	}
	if !isName(string(o.Class)) {
		return fmt.Errorf("class: want a class such as otp, got %q", short(string(o.Class)))
	}
	if _, err := route.ParseNetwork(string(o.Network)); err != nil {
		return fmt.Errorf(`network: want a network such as "234-15", a country such as "GB", or "*", got %q`, short(string(o.Network)))
	}
	return nil
}

func (h *Handler) checkTime(name string, t, now time.Time) error {
	if t.Before(firstTime) || !t.Before(lastTime) {
		return fmt.Errorf("%s: want a time between the years 2000 and 2100, got %s", name, t.UTC().Format(time.RFC3339))
	}
	if ahead := t.Sub(now); ahead > h.o.MaxAhead {
		return fmt.Errorf("%s: want at most %s ahead of the clock here, got %s ahead (%s here)",
			name, h.o.MaxAhead, ahead.Round(time.Millisecond), now.UTC().Format(time.RFC3339))
	}
	return nil
}

func (h *Handler) checkKnown(id route.ID) error {
	if h.o.Known == nil || h.o.Known(id) {
		return nil
	}
	hint := ""
	if h.o.Suggest != nil {
		if near := h.o.Suggest(id); near != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		}
	}
	return fmt.Errorf("route: want a route of the policy, got %q%s", id, hint)
}

func isName(s string) bool {
	if s == "" || len(s) > maxName || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("._-", c) >= 0) {
			return false
		}
	}
	return true
}

// short cuts what an error repeats.
func short(s string) string {
	const most = 48
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
