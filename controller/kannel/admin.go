package kannel

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// admin asks bearerbox's HTTP administration. It answers 200 to everything: what it says has to be read.
type admin struct {
	base     *url.URL
	password string
	http     *http.Client
}

// answerMost bounds what is read of an answer, in bytes.
const answerMost = 4 << 20

// askWithin bounds one question; bearerbox answers in milliseconds.
const askWithin = 10 * time.Second

// ErrDenied is the answer to a wrong password.
var ErrDenied = errors.New("bearerbox denies it: is it the admin-password?")

func (a *admin) ask(ctx context.Context, command string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	to := a.base.JoinPath(command)
	if query == nil {
		query = url.Values{}
	}
	query.Set("password", a.password)
	to.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, errors.New(command + ": want a URL such as http://127.0.0.1:13000")
	}
	resp, err := a.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL has the password in it
		}
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", command, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: want 200, got %s", command, resp.Status)
	case strings.Contains(string(body), "Denied"):
		return nil, fmt.Errorf("%s: %w", command, ErrDenied)
	}
	return body, nil
}

// Link is one link of bearerbox.
type Link struct {
	ID     string        // its smsc-id
	Admin  string        // its smsc-admin-id, by which it is stopped and started
	Status string        // online, connecting, re-connecting, dead
	Up     time.Duration // for how long it has been online
	Queued int           // messages that wait in it
	Sent   uint64        // messages since it was started
}

// Online reports whether it is bound.
func (l *Link) Online() bool { return l.Status == "online" }

// links are what bearerbox says of its links.
func (a *admin) links(ctx context.Context) ([]Link, error) {
	body, err := a.ask(ctx, "status.xml", nil)
	if err != nil {
		return nil, err
	}
	var said struct {
		Links []struct {
			ID     string `xml:"id"`
			Admin  string `xml:"admin-id"`
			Status string `xml:"status"`
			Queued string `xml:"queued"`
			SMS    struct {
				Sent string `xml:"sent"`
			} `xml:"sms"`
			Sent string `xml:"sent"` // where an older Kannel has it
		} `xml:"smscs>smsc"`
	}
	if err := xml.Unmarshal(body, &said); err != nil {
		return nil, fmt.Errorf("status.xml: %w", err)
	}
	out := make([]Link, len(said.Links))
	for i, l := range said.Links {
		word, rest, _ := strings.Cut(l.Status, " ")
		seconds, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), "s"))
		queued, _ := strconv.Atoi(l.Queued)
		sent, _ := strconv.ParseUint(strings.TrimSpace(l.SMS.Sent+l.Sent), 10, 64)
		out[i] = Link{ID: l.ID, Admin: l.Admin, Status: word, Up: time.Duration(seconds) * time.Second, Queued: queued, Sent: sent}
	}
	return out, nil
}

// restart has bearerbox read its configuration again. Links whose settings stay are not bound anew.
func (a *admin) restart(ctx context.Context) error {
	_, err := a.ask(ctx, "graceful-restart", nil)
	return err
}

// stop and start take a link out of bearerbox and back.
func (a *admin) stop(ctx context.Context, id string) error {
	return a.change(ctx, "stop-smsc", id, "shut down")
}

func (a *admin) start(ctx context.Context, id string) error {
	return a.change(ctx, "start-smsc", id, "re-started")
}

func (a *admin) change(ctx context.Context, command, id, done string) error {
	body, err := a.ask(ctx, command, url.Values{"smsc": {id}})
	if err != nil {
		return err
	}
	if said := strings.TrimSpace(string(body)); !strings.Contains(said, done) || strings.Contains(said, "ould not") {
		return fmt.Errorf("%s %s: bearerbox says: %s", command, id, said)
	}
	return nil
}
