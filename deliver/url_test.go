package deliver

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"mainstem/subs"
)

func TestWebhookURLsAreJudgedByWhatTheyName(t *testing.T) {
	const never, always, dev = 0, 1, 2
	for raw, want := range map[string]int{
		"https://worker.example.com/hooks":       always,
		"https://worker.example.com:8443/h?a=b":  always,
		"HTTPS://Worker.Example.COM/":            always,
		"https://xn--bcher-kva.example/":         always,
		"https://worker.example.com./hooks":      always,
		"https://8.8.8.8/hooks":                  always,
		"https://[2606:4700:4700::1111]/hooks":   always,
		"https://under_score.example.com/":       always,
		"https://1a.example/":                    always,
		"http://localhost/":                      dev,
		"http://LOCALHOST:9000/hooks":            dev,
		"http://127.0.0.1:9000/hooks":            dev,
		"http://127.0.0.2/":                      never,
		"http://127.1/":                          never,
		"http://[::1]/":                          never,
		"http://10.0.0.1/":                       never,
		"http://10.0.0.1/hook?x=127.0.0.1":       never,
		"http://localhost.example.com/":          never,
		"http://worker.example.com/":             never,
		"http://localhost@10.0.0.1/":             never,
		"https://localhost/":                     never,
		"https://sub.localhost/":                 never,
		"https://127.0.0.1/":                     never,
		"https://10.0.0.1/":                      never,
		"https://172.16.0.1/":                    never,
		"https://192.168.0.1/":                   never,
		"https://169.254.169.254/latest":         never,
		"https://0.0.0.0/":                       never,
		"https://100.64.0.1/":                    never,
		"https://2130706433/":                    never, // 127.0.0.1 as one number
		"https://0x7f000001/":                    never,
		"https://0177.0.0.1/":                    never,
		"https://127.1/":                         never,
		"https://1.2.3.0x4/":                     never,
		"https://1.2.3.4.5/":                     never,
		"https://[::1]/":                         never,
		"https://[::]/":                          never,
		"https://[fd00::1]/":                     never,
		"https://[fe80::1%25eth0]/":              never,
		"https://[::ffff:10.0.0.1]/":             never,
		"https://[::ffff:8.8.8.8]/":              never, // nobody needs it
		"https://[64:ff9b::a00:1]/":              never,
		"https://[2002:a00:1::]/":                never,
		"https://metadata.google.internal/":      never,
		"https://printer.local/":                 never,
		"https://router/":                        never,
		"https://nas.home.arpa/":                 never,
		"https://user:secret@worker.example.com": never,
		"https://worker.example.com/#fragment":   never,
		"https://worker.example.com/#":           never,
		"https://worker.example.com:0/":          never,
		"https://worker.example.com:70000/":      never,
		"https://worker.example.com:/":           never,
		"https://worker..example.com/":           never,
		"https://wörker.example.com/":            never,
		"https://ｌocalhost/":                     never,
		"https://work%65r.example.com%2f@x/":     never,
		"https:///hooks":                         never,
		"https:worker.example.com":               never,
		"//worker.example.com/":                  never,
		"worker.example.com/hooks":               never,
		"ftp://worker.example.com/":              never,
		"file:///etc/passwd":                     never,
		"gopher://worker.example.com/":           never,
		"unix:/var/run/docker.sock":              never,
		"https://worker.example.com/\r\nX: y":    never,
		"https://worker.example.com\\@10.0.0.1/": never,
		"":                                       never,
		"https://worker.example.com/" + strings.Repeat("a", urlBytesMax): never,
	} {
		for insecure, pass := range map[bool]bool{false: want == always, true: want != never} {
			err := checkURL(raw, insecure)
			if got := err == nil; got != pass {
				t.Errorf("%.60q, insecure %v: taken %v, want %v (%v)", raw, insecure, got, pass, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: the refusal %q repeats a password", raw, err)
			}
		}
	}
}

func TestCheckURLRefusesWithTheProtocolsCode(t *testing.T) {
	d, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if no := d.CheckURL("https://worker.example.com/"); no != nil {
		t.Errorf("a public URL was refused: %v", no)
	}
	if no := d.CheckURL("http://10.0.0.1/hook"); !errors.Is(no, &subs.Refusal{Code: subs.WebhookURLRejected}) {
		t.Errorf("refused with %v, want WEBHOOK_URL_REJECTED", no)
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://worker.example.com/hooks", "http://127.0.0.1:1/", "https://[::ffff:7f00:1]/", "https://0x7f.1/",
		"https://a@b/", "https://2130706433/", "https://[fe80::1%25lo]:443/", "https://x.local./",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, raw string, insecure bool) {
		err := checkURL(raw, insecure)
		strict := checkURL(raw, false)
		if strict == nil && checkURL(raw, true) != nil {
			t.Fatalf("%q is taken, but not with the exception for development", raw)
		}
		if err != nil {
			return
		}
		u, perr := url.Parse(raw)
		if perr != nil || u.Host == "" || u.User != nil {
			t.Fatalf("%q was taken: %v", raw, perr)
		}
		if u.Scheme != "https" && !(insecure && u.Scheme == "http" && isDevelopmentHost(u.Hostname())) {
			t.Fatalf("%q was taken with scheme %q", raw, u.Scheme)
		}
		if a, aerr := netip.ParseAddr(u.Hostname()); aerr == nil && u.Scheme == "https" && checkPublic(a) != nil {
			t.Fatalf("%q was taken, and %v is not public", raw, a)
		}
		if targetOf(raw) == "" {
			t.Fatalf("%q has no target", raw)
		}
	})
}
