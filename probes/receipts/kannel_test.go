package receipts

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

var (
	now       = time.Date(2026, 11, 23, 9, 25, 30, 0, time.UTC)
	submitted = time.Unix(1795425924, 0).UTC()
	reported  = time.Unix(1795425926, 0).UTC()
)

// receiptText is a receipt as SMPP peers write it.
func receiptText(stat, code string) string {
	return "id:n3 sub:001 dlvrd:001 submit date:2611230925 done date:2611230925 stat:" + stat + " err:" + code + " text:stat:EXPIRED err:999"
}

// query is a call of the recommended URL, with changes as pairs of name and value; "-" takes a name out.
func query(changes ...string) url.Values {
	v := url.Values{
		"id": {"m-1"}, "route": {"acme-uk"}, "class": {"otp"}, "network": {"234-15"}, "status": {"1"}, "reply": {receiptText("DELIVRD", "000")},
		"at": {"1795425926"}, "fid": {"n3"}, "submitted": {"1795425924"},
	}
	for i := 0; i < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
		if changes[i+1] == "-" {
			v.Del(changes[i])
		}
	}
	return v
}

func readForm(v url.Values) ([]route.Observation, error) {
	return readKannel(&Call{Form: v, Now: now, Route: func(id string) route.ID { return route.ID(id) }})
}

func TestKannelReadsReports(t *testing.T) {
	receipt := func(s route.Status, code string) route.Observation {
		return route.Observation{Kind: route.KindReceipt, Status: s, Code: code, Time: reported, Submitted: submitted, Route: "acme-uk", Class: "otp", Network: "234-15", Message: "m-1"}
	}
	submit := func(r route.Result, f route.Fault, code string) route.Observation {
		return route.Observation{Kind: route.KindSubmit, Result: r, Fault: f, Code: code, Time: submitted, Route: "acme-uk", Class: "otp", Network: "234-15", Message: "m-1"}
	}
	byID := func(o route.Observation) route.Observation {
		o.Class, o.Network, o.Submitted = "", "", time.Time{}
		return o
	}
	late := func(o route.Observation, at time.Time) route.Observation {
		o.Time = at
		return o
	}
	for name, c := range map[string]struct {
		form url.Values
		want route.Observation
	}{
		"accepted by the SMSC":                  {query("status", "8", "reply", "ACK/"), submit(route.Accepted, 0, "")},
		"accepted, submit time not told":        {query("status", "8", "reply", "ACK/", "submitted", "-"), late(submit(route.Accepted, 0, ""), reported)},
		"accepted, no time told at all":         {query("status", "8", "reply", "ACK/", "submitted", "-", "at", "-"), late(submit(route.Accepted, 0, ""), now)},
		"delivered":                             {query(), receipt(route.StatusDelivered, "")},
		"delivered, by id":                      {query("class", "-", "network", "-", "submitted", "-"), byID(receipt(route.StatusDelivered, ""))},
		"delivered, part of the key":            {query("submitted", ""), byID(receipt(route.StatusDelivered, ""))},
		"delivered, no reply and no time":       {query("reply", "-", "at", ""), late(receipt(route.StatusDelivered, ""), now)},
		"delivered, fraction of a second":       {query("at", "1795425926.25"), late(receipt(route.StatusDelivered, ""), reported.Add(250*time.Millisecond))},
		"failed":                                {query("status", "2", "reply", receiptText("UNDELIV", "011")), receipt(route.StatusFailed, "011")},
		"failed, a code of letters":             {query("status", "2", "reply", receiptText("UNDELIV", "EC-11")), receipt(route.StatusFailed, "EC-11")},
		"failed, no code":                       {query("status", "2", "reply", receiptText("DELETED", "000")), receipt(route.StatusFailed, "")},
		"failed, a number that is no code":      {query("status", "2", "reply", receiptText("UNDELIV", "447700900123")), receipt(route.StatusFailed, "")},
		"failed, another order and case":        {query("status", "2", "reply", "ERR:0032 Stat: Rejectd Text:none"), receipt(route.StatusRejected, "0032")},
		"failed, no reply":                      {query("status", "2", "reply", ""), receipt(route.StatusFailed, "")},
		"failed, a reply of the text only":      {query("status", "2", "reply", "Text: stat:EXPIRED"), receipt(route.StatusFailed, "")},
		"rejected":                              {query("status", "2", "reply", receiptText("REJECTD", "069")), receipt(route.StatusRejected, "069")},
		"expired comes as 34":                   {query("status", "34", "reply", receiptText("EXPIRED", "000")), receipt(route.StatusExpired, "")},
		"34 and not expired":                    {query("status", "34", "reply", receiptText("UNDELIV", "001")), receipt(route.StatusFailed, "001")},
		"expired as 2":                          {query("status", "2", "reply", receiptText("EXPIRED", "000")), receipt(route.StatusExpired, "")},
		"the SMSC does not know":                {query("status", "2", "reply", receiptText("UNKNOWN", "000")), receipt(route.StatusUnknown, "")},
		"buffered is not final":                 {query("status", "4", "reply", receiptText("ACCEPTD", "000")), receipt(route.StatusAccepted, "")},
		"intermediate is not final":             {query("status", "32"), receipt(route.StatusEnroute, "")},
		"refused":                               {query("status", "16", "reply", "NACK/0x00000045/Submit failed", "fid", ""), submit(route.Refused, route.FaultRoute, "0x00000045")},
		"refused, throttled":                    {query("status", "16", "reply", "NACK/0x00000058/Throttling error"), submit(route.Refused, route.FaultCapacity, "0x00000058")},
		"refused, queue full":                   {query("status", "16", "reply", "NACK/0x00000014/Message Queue Full"), submit(route.Refused, route.FaultCapacity, "0x00000014")},
		"refused, bad number":                   {query("status", "16", "reply", "NACK/0x0000000B/Invalid Destination Address"), submit(route.Refused, route.FaultMessage, "0x0000000b")},
		"refused, bad validity":                 {query("status", "16", "reply", "NACK/0x62"), submit(route.Refused, route.FaultMessage, "0x00000062")},
		"refused, bad password":                 {query("status", "16", "reply", "NACK/0x0000000e/Invalid Password"), submit(route.Refused, route.FaultConfig, "0x0000000e")},
		"refused, no link up":                   {query("status", "16", "reply", "NACK/no SMSC"), submit(route.Refused, route.FaultRoute, "no SMSC")},
		"refused, temporarily and for good":     {query("status", "16", "reply", "NACK/Retries Exceeded"), submit(route.Refused, route.FaultCapacity, "Retries Exceeded")},
		"refused, words that are not kept":      {query("status", "16", "reply", "NACK/call +447700900123"), submit(route.Refused, route.FaultMessage, "")},
		"refused, no number":                    {query("status", "16", "reply", "NACK/0xzz/x"), submit(route.Refused, route.FaultMessage, "")},
		"refused by Kannel itself":              {query("status", "16", "reply", "NACK/MALFORMED SMS"), submit(route.Refused, route.FaultMessage, "MALFORMED SMS")},
		"the link that carried it is the truth": {query("route", "asked-for", "smsc", "acme-uk"), receipt(route.StatusDelivered, "")},
		"the one asked for where none did":      {query("status", "16", "reply", "NACK/no SMSC", "smsc", ""), submit(route.Refused, route.FaultRoute, "no SMSC")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readForm(c.form)
			if err != nil {
				t.Fatal(err)
			}
			if want := []route.Observation{c.want}; !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestKannelRefusesMalformedCalls(t *testing.T) {
	h := newHandler(t, Options{Known: func(id route.ID) bool { return id == "acme-uk" }, Suggest: func(id route.ID) route.ID { return "acme-uk" }})
	for name, c := range map[string]struct {
		form url.Values
		why  string
	}{
		"no status":            {query("status", "-"), `status: want %d, the bits of Kannel's report, got ""`},
		"status not filled in": {query("status", "%d"), `status: want %d, the bits of Kannel's report, got "%d"`},
		"no bit that is known": {query("status", "64"), `status: want %d, the bits of Kannel's report, got "64"`},
		"delivered and failed": {query("status", "3"), `status: want %d, the bits of Kannel's report, got "3"`},
		"no id":                {query("id", "-"), `id: want a message id of 1 to 256 bytes, got ""`},
		"long id":              {query("id", strings.Repeat("x", 257)), `id: want a message id of 1 to 256 bytes, got "` + strings.Repeat("x", 48) + `…"`},
		"no route":             {query("route", ""), `route: want a route id, got ""`},
		"unknown route":        {query("route", "acme-ul"), `route: want a route of the policy, got "acme-ul" (did you mean "acme-uk"?)`},
		"submit without class": {query("status", "8", "class", "-"), `class: want a class such as otp, got ""`},
		"class that is none":   {query("class", "a b"), `class: want a class such as otp, got "a b"`},
		"network that is none": {query("network", "uk"), `network: want a network such as "234-15", a country such as "GB", or "*", got "uk"`},
		"time that is none":    {query("at", "2026-11-23 09:25"), `at: want Unix seconds, got "2026-11-23 09:25"`},
		"infinite time":        {query("at", "inf"), `at: want Unix seconds, got "inf"`},
		"time of long ago":     {query("submitted", "0"), `submit time: want a time between the years 2000 and 2100, got 1970-01-01T00:00:00Z`},
		"time to come":         {query("at", "1795426020"), `time: want at most 1m0s ahead of the clock here, got 1m30s ahead (2026-11-23T09:25:30Z here)`},
	} {
		a := get(t, h, "/receipts/kannel?"+c.form.Encode())
		if a.code != http.StatusBadRequest || a.detail != c.why {
			t.Errorf("%s: got %d %s\nwant %s", name, a.code, a.detail, c.why)
		}
	}
}

func FuzzKannel(f *testing.F) {
	for _, v := range []url.Values{
		query(), query("status", "34", "reply", receiptText("EXPIRED", "000")), query("status", "16", "reply", "NACK/0x00000045/Submit failed"),
		query("status", "8", "reply", "ACK/", "submitted", "-", "at", "-"), query("status", "2", "reply", "err:7 STAT:rejectd"), query("status", "4"),
	} {
		f.Add(v.Encode())
	}
	f.Add("%zz=1;status=1")
	f.Fuzz(func(t *testing.T, raw string) {
		form, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		got, err := readForm(form)
		if err != nil {
			if len(err.Error()) > 512 {
				t.Fatalf("got an error of %d bytes", len(err.Error()))
			}
			return
		}
		if len(got) != 1 {
			t.Fatalf("got %d observations, want 1", len(got))
		}
		o := got[0]
		if o.Kind != route.KindReceipt && o.Kind != route.KindSubmit || o.Time.IsZero() || len(o.Code) > maxCode || o.Final {
			t.Fatalf("got %+v", o)
		}
		if o.Kind == route.KindSubmit && !o.Submitted.IsZero() || o.Kind == route.KindReceipt && (o.Class == "") != o.Submitted.IsZero() {
			t.Fatalf("got %+v, want a key and a submit time together", o)
		}
		// Nothing of the reply is kept but a code; a run of nine digits could be somebody's number.
		if strings.Trim(o.Code, "0123456789") == "" && len(o.Code) > 8 {
			t.Fatalf("got the code %q", o.Code)
		}
		h := &Handler{o: Options{MaxAhead: time.Minute}}
		if h.check(&o, now) == nil && (!isName(string(o.Route)) || o.Message == "") {
			t.Fatalf("%+v was let through", o)
		}
	})
}
