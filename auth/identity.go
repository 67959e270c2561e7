package auth

import (
	"net/http"

	"mainstem/stream"
)

// Identity is whom a request comes from. It is never changed once made.
type Identity struct {
	// Name is for people: a key's name or a token's subject, never a secret.
	Name string
	// Key is equal for requests of the same client and for no other; "" where the
	// credential does not tell one client from another.
	Key    string
	grants []grant
	all    bool // an authorisation service has decided about this very request
}

// grant is what may be done with some streams.
type grant struct {
	may     actions
	streams []stream.Pattern
}

func everyStream() stream.Pattern {
	p, err := stream.ParsePattern("**")
	if err != nil {
		panic(err) // of a constant
	}
	return p
}

// May tells whether the identity may do a to a stream. For Admin the name does
// not count.
func (id *Identity) May(a Action, n stream.Name) bool {
	return id.may(a, func(p stream.Pattern) bool { return a == Admin || p.Match(n) })
}

// MayAll is May for all streams that a pattern matches.
func (id *Identity) MayAll(a Action, q stream.Pattern) bool {
	return id.may(a, func(p stream.Pattern) bool { return p.Covers(q) })
}

// MaySome tells whether there is any stream to which the identity may do a.
func (id *Identity) MaySome(a Action) bool {
	return id.may(a, func(stream.Pattern) bool { return true })
}

func (id *Identity) may(a Action, of func(stream.Pattern) bool) bool {
	if id.all {
		return true
	}
	for _, g := range id.grants {
		if !g.may.has(a) {
			continue
		}
		for _, p := range g.streams {
			if of(p) {
				return true
			}
		}
	}
	return false
}

// Refusal is why a request is not let in, and the answer to give.
type Refusal struct {
	Status int // 401, 403 or 503; what an authorisation service said if Answer is set
	Reason string
	Detail string
	Answer *Answer // to give verbatim; nil for none
	Cause  error   // for the log; nil for none
}

// Answer is what an authorisation service said.
type Answer struct {
	Header http.Header
	Body   []byte
}

func (r *Refusal) Error() string { return r.Detail }
func (r *Refusal) Unwrap() error { return r.Cause }

func bad(reason, detail string) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Reason: reason, Detail: detail}
}
