package cli

import (
	"strings"
	"testing"
)

func TestDoctorRefusesWhatItCannotUse(t *testing.T) {
	for args, want := range map[string]string{
		"doctor --fail-on never":     "use warn or bad",
		"doctor --url=":              "names no node",
		"debug bundle --profile 2h":  "use 0s to 1m0s",
		"debug bundle -o /no/where":  "make the bundle",
		"doctor --url 127.0.0.1:1 x": "takes no arguments",
	} {
		if _, errs, code := command(t, nil, strings.Fields(args)...); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: got code %d, %q, want %q", args, code, errs, want)
		}
	}
}
