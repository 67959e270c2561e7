package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

func TestOnlyTheProtocolsParametersAreShownOfAQuery(t *testing.T) {
	for query, want := range map[string]string{
		"offset=-1&live=sse":                       "offset=-1&live=sse",
		"offset=-1&token=eyJ--ab&cursor=5":         "offset=-1&token=REDACTED&cursor=5",
		"%74oken=secret":                           "token=REDACTED",
		"jwt=secret&api_key=secret&Token=secret":   "REDACTED&REDACTED&REDACTED",
		"secret":                                   "REDACTED",
		"secret==":                                 "REDACTED",
		"=secret":                                  "REDACTED",
		"%zz=secret&offset=now":                    "REDACTED&offset=now",
		"offset=1;token=secret":                    "offset=REDACTED",
		"live=sse;secret":                          "live=REDACTED",
		"offset=0000000000000001_0000000000000000": "offset=0000000000000001_0000000000000000",
		"&&": "&&",
	} {
		if got := redacted(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}

func FuzzRedacted(f *testing.F) {
	f.Add("token", "x&offset=1")
	f.Add("a;b", "")
	f.Fuzz(func(t *testing.T, key, rest string) {
		const secret = "aSecretThatMustNotBeSeen"
		switch key {
		case "offset", "live", "cursor", "limit":
			return
		}
		if strings.ContainsAny(key, "=&%+;") || strings.ContainsAny(rest, "=") {
			return
		}
		if got := redacted(key + "=" + secret + "&" + rest); strings.Contains(got, secret) {
			t.Fatalf("%q", got)
		}
	})
}

// Nothing is allocated for what nobody reads.
func TestARequestThatNobodyWatchesCostsNothingMore(t *testing.T) {
	s := &Server{log: slog.New(slog.NewTextHandler(&strings.Builder{}, nil)), base: "/v1/stream/"}
	c := echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/v1/stream/s?token=x", nil), httptest.NewRecorder())
	if got := testing.AllocsPerRun(100, func() {
		s.open(c, opAppend).close(opAppend, 204, 0, 1)
	}); got != 0 {
		t.Fatalf("%v allocations", got)
	}
	s.log = slog.New(slog.NewTextHandler(&strings.Builder{}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.open(c, opAppend) == nil {
		t.Fatal("there is no account at debug either: the test shows nothing")
	}
}
