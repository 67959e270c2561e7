package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestListingFromTheCommandLine(t *testing.T) {
	_, base := dev(t)
	var want strings.Builder
	for i := range 3 {
		name := fmt.Sprintf("room/%d", i)
		must(t, base, "", "created", "create", name, "--json", "--closed")
		fmt.Fprintln(&want, name)
	}
	must(t, base, "", "created", "create", "else")
	if got := must(t, base, "", "", "ls", "room/"); got != want.String() {
		t.Errorf("got %q", got)
	}
	if got := must(t, base, "", "", "ls"); got != "else\n"+want.String() {
		t.Errorf("all: got %q", got)
	}
	if got := must(t, base, "", "", "ls", "room/1", "-l"); !strings.Contains(got, "application/json  closed") {
		t.Errorf("long: got %q", got)
	}
	if got := must(t, base, "", "", "ls", "room/1", "--output-json"); !strings.Contains(got, `"name":"room/1"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("JSON: got %q", got)
	}
	if got := must(t, base, "", "", "ls", "none"); got != "" {
		t.Errorf("nothing: got %q", got)
	}
}
