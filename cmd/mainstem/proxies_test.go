package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"mainstem/operator"
	"mainstem/settings"
)

func TestWhatProxiesSayIsBelievedOfTrustedOnesOnly(t *testing.T) {
	x := settings.Proxy{Enabled: true, Forwarded: settings.ForwardedX, Trusted: []string{"10.0.0.0/8", "192.0.2.9", "fd00::/8"}, IdentityHeader: "X-Client-Identity"}
	rfc := x
	rfc.Forwarded = settings.ForwardedRFC
	type want struct{ remote, proto, host, identity string }
	for name, c := range map[string]struct {
		cfg    settings.Proxy
		from   string
		header []string
		want   want
	}{
		"nothing said":                   {x, "203.0.113.5:1", nil, want{"203.0.113.5:1", "", "example.com", ""}},
		"untrusted":                      {x, "203.0.113.5:1", []string{"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Client-Identity", "root"}, want{"203.0.113.5:1", "", "example.com", ""}},
		"untrusted, RFC":                 {rfc, "203.0.113.5:1", []string{"Forwarded", "for=1.2.3.4;proto=https;host=evil.example"}, want{"203.0.113.5:1", "", "example.com", ""}},
		"untrusted, of the range's edge": {x, "11.0.0.0:1", []string{"X-Forwarded-For", "10.0.0.1", "x-client-identity", "root"}, want{"11.0.0.0:1", "", "example.com", ""}},
		"untrusted, RFC, identity":       {rfc, "203.0.113.5:1", []string{"Forwarded", "for=10.0.0.1", "X-CLIENT-IDENTITY", "root"}, want{"203.0.113.5:1", "", "example.com", ""}},
		"untrusted, says it is here":     {x, "203.0.113.5:1", []string{"X-Forwarded-For", "127.0.0.1", "Forwarded", "for=127.0.0.1"}, want{"203.0.113.5:1", "", "example.com", ""}},
		"switched off":                   {settings.Proxy{Forwarded: settings.ForwardedNone}, "10.0.0.1:1", []string{"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https"}, want{"10.0.0.1:1", "", "example.com", ""}},
		"trusted":                        {x, "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "HTTPS", "X-Forwarded-Host", "streams.example", "X-Client-Identity", "ann"}, want{"198.51.100.7:0", "https", "streams.example", "ann"}},
		"forged further left":            {x, "10.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1, 198.51.100.7"}, want{"198.51.100.7:0", "", "example.com", ""}},
		"a chain of trusted ones":        {x, "10.0.0.1:1", []string{"X-Forwarded-For", "6.6.6.6, 198.51.100.7, 192.0.2.9, 10.9.9.9"}, want{"198.51.100.7:0", "", "example.com", ""}},
		"all of them trusted":            {x, "10.0.0.1:1", []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, want{"10.0.0.3:0", "", "example.com", ""}},
		"on two lines":                   {x, "10.0.0.1:1", []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-For", "198.51.100.7"}, want{"198.51.100.7:0", "", "example.com", ""}},
		"no address":                     {x, "10.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1, unknown"}, want{"10.0.0.1:1", "", "example.com", ""}},
		"IPv6":                           {x, "[fd00::1]:1", []string{"X-Forwarded-For", "2001:db8::7"}, want{"[2001:db8::7]:0", "", "example.com", ""}},
		"a mapped peer":                  {x, "[::ffff:10.0.0.1]:1", []string{"X-Forwarded-For", "198.51.100.7:4711"}, want{"198.51.100.7:0", "", "example.com", ""}},
		"the other family":               {x, "10.0.0.1:1", []string{"Forwarded", "for=198.51.100.7;proto=https"}, want{"10.0.0.1:1", "", "example.com", ""}},
		"RFC":                            {rfc, "10.0.0.1:1", []string{"Forwarded", `for=6.6.6.6, For="[2001:db8::7]:4711";Proto=https;host="streams.example"`}, want{"[2001:db8::7]:0", "https", "streams.example", ""}},
		"RFC, the other family":          {rfc, "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.7"}, want{"10.0.0.1:1", "", "example.com", ""}},
		"RFC, hidden":                    {rfc, "10.0.0.1:1", []string{"Forwarded", "for=127.0.0.1, for=_hidden;proto=https"}, want{"10.0.0.1:1", "https", "example.com", ""}},
		"RFC, a comma in quotes":         {rfc, "10.0.0.1:1", []string{"Forwarded", `for="6.6.6.6, for=127.0.0.1";by=x`}, want{"10.0.0.1:1", "", "example.com", ""}},
		"a host that is a path":          {x, "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Host", "evil.example/x"}, want{"198.51.100.7:0", "", "example.com", ""}},
		"a scheme that is none":          {x, "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "gopher"}, want{"198.51.100.7:0", "", "example.com", ""}},
		"the proxy's own word counts":    {x, "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https, http"}, want{"198.51.100.7:0", "http", "example.com", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/v1/stream/a", nil)
			r.RemoteAddr = c.from
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Add(c.header[i], c.header[i+1])
			}
			var got want
			var forged bool
			newProxies(c.cfg).around(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = want{r.RemoteAddr, r.Header.Get("X-Forwarded-Proto"), r.Host, r.Header.Get("X-Client-Identity")}
				forged = r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-Host") != ""
			})).ServeHTTP(httptest.NewRecorder(), r)
			if got != c.want || forged {
				t.Errorf("got %+v (headers left: %v), want %+v", got, forged, c.want)
			}
		})
	}
}

// TestAProxyOnThisMachineIsNoOperator: what comes through one seems to come from
// loopback.
func TestAProxyOnThisMachineIsNoOperator(t *testing.T) {
	for name, header := range map[string]string{"X-Forwarded-For": "203.0.113.5", "Forwarded": "for=203.0.113.5", "Via": "1.1 proxy"} {
		r := httptest.NewRequest("POST", operator.TransferPath, nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set(name, header)
		w := httptest.NewRecorder()
		newProxies(settings.Proxy{Forwarded: settings.ForwardedNone}).around(adminHandler(&operatedFake{}, byPlace(""), nil)).ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: got %d", name, w.Code)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("for=1.2.3.4;proto=https, for=\"[::1]:5\"", "1.2.3.4, 5.6.7.8")
	f.Fuzz(func(t *testing.T, forwarded, x string) {
		for _, cfg := range []settings.Proxy{{Enabled: true, Forwarded: settings.ForwardedRFC, Trusted: []string{"10.0.0.0/8"}}, {Enabled: true, Forwarded: settings.ForwardedX, Trusted: []string{"10.0.0.0/8"}}} {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header["Forwarded"], r.Header["X-Forwarded-For"] = []string{forwarded}, []string{x}
			newProxies(cfg).around(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if fromLoopback(r.RemoteAddr) && !proxied(r) {
					t.Fatal("a forged address is taken for this machine")
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		}
	})
}
