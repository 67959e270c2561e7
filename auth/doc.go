// Package auth decides whom a request comes from and what that one may do: API
// keys, signed URL tokens, JWTs, and an authorisation service that is asked.
//
// A Gate admits a request and returns its Identity, or a Refusal with the answer
// to give; the identity is then asked for each Action on each stream. Several
// ways in may be open at once; a request that shows a credential is judged by it,
// and a bad one is never passed over for a better one.
//
// It does not know what a stream holds, who leads, or how an answer is written.
package auth
