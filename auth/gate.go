package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"sync"

	"mainstem/stream"
)

// Gate is all the ways in. A nil part is closed.
type Gate struct {
	// AdminToken, where it is not "", is good for Admin alone; it opens no way in
	// by itself.
	AdminToken string
	Keys       *Keys
	Signed     *Signed
	Tokens     *Tokens
	Forward    *Forward
}

// Open tells whether there is any way in, and so whether anyone is kept out.
func (g *Gate) Open() bool {
	return g.Keys != nil || g.Signed != nil || g.Tokens != nil || g.Forward != nil
}

// Run keeps what the parts read from files and URLs fresh, until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	var all sync.WaitGroup
	if g.Keys != nil {
		all.Go(func() { g.Keys.run(ctx) })
	}
	if g.Tokens != nil {
		all.Go(func() { g.Tokens.run(ctx) })
	}
	all.Wait()
	return nil
}

// credential is what a request shows.
type credential struct {
	text string
	from string // for the refusal
}

const tokenParameter = "token"

// shown returns the credentials of a request: those in the header, in the query,
// and in the cookie that the configuration names. Each must be good.
func shown(r *http.Request, cookie string) (list []credential, no *Refusal) {
	headers := r.Header["Authorization"]
	if len(headers) > 1 {
		return nil, bad("BAD_CREDENTIALS", "Authorization is repeated; send it once")
	}
	if len(headers) == 1 {
		scheme, token, ok := strings.Cut(headers[0], " ")
		token = strings.TrimSpace(token)
		if !ok || token == "" || !strings.EqualFold(scheme, "Bearer") {
			return nil, bad("BAD_CREDENTIALS", "Authorization is not of the form: Bearer, a space, and the token")
		}
		list = append(list, credential{token, "the bearer token"})
	}
	if strings.Contains(r.URL.RawQuery, tokenParameter+"=") {
		values := r.URL.Query()[tokenParameter]
		switch {
		case len(values) > 1:
			return nil, bad("BAD_CREDENTIALS", "the token is there twice in the query; send it once")
		case len(values) == 1 && values[0] != "":
			list = append(list, credential{values[0], "the token in the query"})
		}
	}
	if cookie != "" && len(list) == 0 { // a browser sends it whether or not it means to
		if c, err := r.Cookie(cookie); err == nil && c.Value != "" {
			list = append(list, credential{c.Value, "the token in the cookie"})
		}
	}
	return list, nil
}

// errNotMine is a verifier's answer to a credential of another kind.
var errNotMine = errors.New("not a credential of this kind")

// Admit returns whom a request comes from.
func (g *Gate) Admit(r *http.Request) (*Identity, *Refusal) {
	cookie := ""
	if g.Tokens != nil {
		cookie = g.Tokens.cfg.Cookie
	}
	credentials, no := shown(r, cookie)
	if no != nil {
		return nil, no
	}
	var id *Identity
	for _, c := range credentials {
		one, err := g.verify(r.Context(), c.text)
		switch {
		case errors.Is(err, errNotMine):
			continue
		case err != nil:
			return nil, refusalOf(c, err)
		case id != nil:
			return nil, bad("BAD_CREDENTIALS", "the request shows two credentials; send one")
		}
		id = one
	}
	switch {
	case id != nil:
		return id, nil
	case g.Forward != nil: // it may know what we do not
		return g.Forward.ask(r)
	case len(credentials) > 0:
		return nil, bad("BAD_CREDENTIALS", credentials[0].from+" is none that this server knows; ask its operator for one")
	}
	return nil, bad("NO_CREDENTIALS", "this server wants to know whom a request comes from; send Authorization: Bearer and a token")
}

// verify asks the verifiers in turn.
func (g *Gate) verify(ctx context.Context, token string) (*Identity, error) {
	if g.AdminToken != "" && SameSecret(token, g.AdminToken) {
		return operator, nil
	}
	if g.Keys != nil {
		if id, err := g.Keys.verify(token); !errors.Is(err, errNotMine) {
			return id, err
		}
	}
	if g.Signed != nil {
		if id, err := g.Signed.verify(token); !errors.Is(err, errNotMine) {
			return id, err
		}
	}
	if g.Tokens != nil {
		return g.Tokens.verify(ctx, token)
	}
	return nil, errNotMine
}

// operator bears the cluster's admin token.
var operator = &Identity{Name: "the operator", Key: "operator", grants: []grant{{may: setOf(Admin), streams: []stream.Pattern{everyStream()}}}}

// SameSecret takes as long for a guess that is nearly right as for any other.
func SameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// refusalOf says which credential was bad. What is not the client's fault is 503:
// a client would throw a good token away.
func refusalOf(c credential, err error) *Refusal {
	var unsure *unsureError
	if errors.As(err, &unsure) {
		return &Refusal{Status: http.StatusServiceUnavailable, Reason: "AUTH_UNAVAILABLE", Cause: err,
			Detail: "this server could not check " + c.from + " at the moment; nothing was read or written, try again"}
	}
	reason := "BAD_CREDENTIALS"
	if errors.Is(err, errExpired) {
		reason = "CREDENTIALS_EXPIRED"
	}
	return &Refusal{Status: http.StatusUnauthorized, Reason: reason, Detail: c.from + " " + err.Error() + "; ask for a new one"}
}

var errExpired = errors.New("has expired")

// unsureError is an error that says nothing of the credential.
type unsureError struct{ err error }

func (e *unsureError) Error() string { return e.err.Error() }
func (e *unsureError) Unwrap() error { return e.err }
