package subs

import "strconv"

// Code names a rule that can refuse a request. Codes are stored with outcomes
// and cross the wire between nodes: append only, never reorder.
type Code uint8

const (
	_ Code = iota
	InvalidRequest
	SubscriptionNotFound
	SubscriptionAlreadyExists
	WebhookURLRejected
	TokenInvalid
	TokenExpired
	Fenced
	AlreadyClaimed
	NoPendingWork
	InvalidOffset
	codeEnd
)

var codeNames = [codeEnd]string{
	InvalidRequest:            "INVALID_REQUEST",
	SubscriptionNotFound:      "SUBSCRIPTION_NOT_FOUND",
	SubscriptionAlreadyExists: "SUBSCRIPTION_ALREADY_EXISTS",
	WebhookURLRejected:        "WEBHOOK_URL_REJECTED",
	TokenInvalid:              "TOKEN_INVALID",
	TokenExpired:              "TOKEN_EXPIRED",
	Fenced:                    "FENCED",
	AlreadyClaimed:            "ALREADY_CLAIMED",
	NoPendingWork:             "NO_PENDING_WORK",
	InvalidOffset:             "INVALID_OFFSET",
}

var codeText = [codeEnd]string{
	InvalidRequest:            "the request is malformed",
	SubscriptionNotFound:      "there is no subscription of this id; create it with PUT",
	SubscriptionAlreadyExists: "a subscription of this id exists with another configuration; delete it first, or choose another id",
	WebhookURLRejected:        "the webhook URL is not allowed",
	TokenInvalid:              "the bearer token is not one of this subscription's; use the token that came with the wake or the claim",
	TokenExpired:              "the bearer token has expired; wait for the next wake, or claim again",
	Fenced:                    "the wake is over: its generation or wake id is not the current one; stop this work and wait for the next wake",
	AlreadyClaimed:            "another worker holds the subscription; wait for its lease to end",
	NoPendingWork:             "no linked stream has data after its cursor; wait for the next wake event",
	InvalidOffset:             "an acked offset does not fit its stream",
}

// String is the code's name on the wire.
func (c Code) String() string {
	if c > 0 && c < codeEnd {
		return codeNames[c]
	}
	return "REFUSED_" + strconv.Itoa(int(c))
}

// Refusal is the rules saying no. It is an answer, not a fault.
type Refusal struct {
	Code       Code
	Detail     string `json:",omitempty"` // finer words; "" means the code's own
	Holder     string `json:",omitempty"` // who has claimed
	Generation uint64 `json:",omitempty"` // the current one, where it helps
}

// Error says what was refused, why, and what to do.
func (r *Refusal) Error() string {
	switch {
	case r.Detail != "":
		return r.Detail
	case r.Code > 0 && r.Code < codeEnd:
		return codeText[r.Code]
	}
	return "refused: " + r.Code.String()
}

// Is lets errors.Is(err, &Refusal{Code: Fenced}) match on the code alone.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Code == r.Code
}

func invalid(detail string) *Refusal { return &Refusal{Code: InvalidRequest, Detail: detail} }
