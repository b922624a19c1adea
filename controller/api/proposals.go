package api

import (
	"net/http"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// waiting is a proposal with the decision that made it, and with what approving it would lead to now.
type waiting struct {
	decide.Waiting
	Decision *route.Decision `json:"decision,omitempty"`
	Now      *Ordered        `json:"now,omitempty"`     // what approving it would change
	Refused  *refusal        `json:"refused,omitempty"` // the guard that would refuse it now
}

type refusal struct {
	Guard string `json:"guard"`
	Why   string `json:"why"`
	Frees string `json:"frees,omitempty"`
}

// getProposals answers with what waits for a person, and what approving each would do now.
func (a *api) getProposals(w http.ResponseWriter, r *http.Request) {
	all := []waiting{}
	for _, p := range a.Operators.Proposals() {
		x := waiting{Waiting: p}
		if a.Journal != nil {
			if d, found, err := a.Journal.Decision(p.ID); err == nil && found {
				x.Decision = &d
			}
		}
		x.Now, x.Refused = a.tried(p.ID)
		all = append(all, x)
	}
	a.reply(w, r, http.StatusOK, struct {
		Generation route.Generation `json:"generation"` // in force
		Proposals  []waiting        `json:"proposals"`
	}{a.current(), all})
}

// tried is what approving a proposal would lead to now.
func (a *api) tried(id string) (*Ordered, *refusal) {
	now, err := a.Operators.Preview(route.Order{Proposal: id, Approve: true, Actor: "nobody"})
	if refused, ok := err.(*decide.Refused); ok {
		return nil, &refusal{refused.Guard, refused.Why, refused.Frees}
	}
	if err != nil {
		return nil, nil // it was answered meanwhile
	}
	now.Decisions = nil
	return &now, nil
}

// personsReply is what a person says to a proposal.
type personsReply struct {
	Actor  string   `json:"actor"`
	Reason string   `json:"reason"`
	Accept []string `json:"accept"`
}

const wantReply = `want JSON such as {"actor":"ann","reason":"seen in the carrier's status page"}`

func (a *api) postApproval(w http.ResponseWriter, r *http.Request)  { a.answer(w, r, true) }
func (a *api) postRejection(w http.ResponseWriter, r *http.Request) { a.answer(w, r, false) }

func (a *api) answer(w http.ResponseWriter, r *http.Request, approve bool) {
	var said personsReply
	wrong := readJSON(w, r, wantReply, &said)
	if wrong == nil {
		wrong = checkWords(said.Reason, said.Accept)
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	a.order(w, r, said.Actor, route.Order{Proposal: r.PathValue("id"), Approve: approve, Reason: said.Reason, Accept: said.Accept})
}
