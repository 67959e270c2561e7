package httpapi_test

import (
	"testing"

	"mainstem/httpapi"
)

func TestIfMatchIsAnswered412WithTheTail(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	do(s, "PUT", base+"a", "", "Content-Type", "text/plain").want(t, 201)
	send := func(tag string, status int, headers ...string) *answer {
		t.Helper()
		a := do(s, "POST", base+"a", "x", append(headers, "Content-Type", "text/plain", "If-Match", tag)...)
		a.want(t, status)
		return a
	}
	one, two := "0000000000000001_0000000000000001", "0000000000000001_0000000000000002"
	send(`"-1"`, 204).want(t, 204, "Stream-Next-Offset", one)
	send(`"-1"`, 412).want(t, 412, "Stream-Next-Offset", one, "Content-Type", "application/problem+json")
	send(`"`+one+`"`, 200, "Producer-Id", "p", "Producer-Epoch", "0", "Producer-Seq", "0").want(t, 200, "Stream-Next-Offset", two)
	send(`"`+one+`"`, 204, "Producer-Id", "p", "Producer-Epoch", "0", "Producer-Seq", "0").want(t, 204, "Stream-Next-Offset", two)
	send(`"`+one+`"`, 412).want(t, 412, "Stream-Next-Offset", two)
	send("*", 204)
	send(one, 400)
	send(`W/"`+one+`"`, 400)
	send(`"`+one+`", "`+two+`"`, 400)
	send(`"now"`, 400)
	if got := do(s, "GET", base+"a", "").text(); got != "xxx" {
		t.Fatalf("the stream holds %q", got)
	}
}
