package peertls_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/peertls"
	"mainstem/test/harness"
)

// loopback is a network of one listener.
type loopback struct{}

func (loopback) Listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
func (loopback) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// end is one node's side.
type end struct {
	id      string
	network peertls.Network
	guard   *peertls.Guard // nil for off
	log     *lockedBuffer
	files   harness.Credentials
	metrics *prometheus.Registry
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// offered is what an end shows and trusts.
type offered struct {
	ca     *harness.Authority        // that has signed
	trusts *harness.Authority        // nil: ca
	names  []string                  // nil: the id and 127.0.0.1
	change func(c *x509.Certificate) // of the certificate
	later  time.Duration             // by which the end's clock is ahead
}

func newEnd(t *testing.T, id string, mode peertls.Mode, o offered) *end {
	t.Helper()
	e, err := tryEnd(t, id, mode, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func tryEnd(t *testing.T, id string, mode peertls.Mode, o offered) (*end, error) {
	t.Helper()
	e := &end{id: id, network: loopback{}, log: &lockedBuffer{}, metrics: prometheus.NewPedanticRegistry()}
	if mode == peertls.Off {
		return e, nil
	}
	if o.trusts == nil {
		o.trusts = o.ca
	}
	if o.names == nil {
		o.names = []string{id, "127.0.0.1"}
	}
	e.files = harness.CredentialsIn(t, filepath.Join(t.TempDir(), id))
	cert, key := o.ca.Issue(o.change, o.names...)
	e.files.Write(t, cert, key, o.trusts.PEM())
	var err error
	e.guard, err = peertls.Open(peertls.Config{
		Mode: mode, CertPath: e.files.Cert, KeyPath: e.files.Key, CAPath: e.files.CA, NodeID: id, Host: "127.0.0.1",
		Now: func() time.Time { return time.Now().Add(o.later) },
		Log: slog.New(slog.NewTextHandler(e.log, nil)), Metrics: e.metrics,
	})
	if err != nil {
		return nil, err
	}
	e.network = e.guard.Around(e.network)
	return e, nil
}

// prove asks a connection, as the cluster does.
func prove(c net.Conn, id string, hosts ...string) error {
	if p, ok := c.(interface {
		Proves(id string, hosts ...string) error
	}); ok {
		return p.Proves(id, hosts...)
	}
	return nil
}

// met is how a meeting of two ends went: for each what it made of the other.
type met struct{ dialler, listener error }

// meet has one end dial the other and both say a word. The dialler says it is
// called so.
func meet(t *testing.T, dialler, listener *end, called string) (m met) {
	t.Helper()
	l, err := listener.network.Listen()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 2) // a plain attempt may follow one of TLS
	defer func() {
		l.Close()
		for range accepted { // until the listener has ended
		}
	}()
	go func() {
		defer close(accepted)
		for range cap(accepted) {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- answer(c, called)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m.dialler = say(ctx, dialler, listener, l.Addr().String())
	m.listener = <-accepted
	if m.dialler == nil && m.listener != nil { // the attempt that went well is the last
		m.listener = <-accepted
	}
	return m
}

const hello, welcome = "mainstem hello", "welcome"

func answer(c net.Conn, called string) error {
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, len(hello))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != hello {
		return io.ErrUnexpectedEOF
	}
	err := prove(c, called, "127.0.0.1")
	word := welcome
	if err != nil {
		word = "refused"
	}
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	return err
}

type refusal string

func (r refusal) Error() string { return string(r) }

func say(ctx context.Context, dialler, listener *end, addr string) error {
	c, err := dialler.network.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if err := prove(c, listener.id, "127.0.0.1"); err != nil {
		return err
	}
	if _, err := io.WriteString(c, hello); err != nil {
		return err
	}
	b := make([]byte, len(welcome))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != welcome {
		return refusal("the other end has " + string(b))
	}
	return nil
}

// counted is what the ends have counted, as "in verified, out verified".
func counted(t *testing.T, ends ...*end) string {
	t.Helper()
	var words []string
	for _, e := range ends {
		families, err := e.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				for range int(m.Counter.GetValue()) {
					words = append(words, e.id+" "+m.Label[0].GetValue()+" "+m.Label[1].GetValue())
				}
			}
		}
	}
	return strings.Join(words, ", ")
}

func TestModesThatStandBesideEachOtherUnderstandEachOther(t *testing.T) {
	ca := harness.NewAuthority(t)
	for name, c := range map[string]struct {
		dialler, listener peertls.Mode
		refused           bool
		want              string
	}{
		"off to off":               {peertls.Off, peertls.Off, false, ""},
		"off to permissive":        {peertls.Off, peertls.Permissive, false, "b in plain"},
		"permissive to off":        {peertls.Permissive, peertls.Off, false, "a out plain"},
		"permissive to permissive": {peertls.Permissive, peertls.Permissive, false, "a out verified, b in verified"},
		"permissive to required":   {peertls.Permissive, peertls.Required, false, "a out verified, b in verified"},
		"required to permissive":   {peertls.Required, peertls.Permissive, false, "a out verified, b in verified"},
		"required to required":     {peertls.Required, peertls.Required, false, "a out verified, b in verified"},
		"off to required":          {peertls.Off, peertls.Required, true, "b in refused"},
		"required to off":          {peertls.Required, peertls.Off, true, "a out refused"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newEnd(t, "a", c.dialler, offered{ca: ca}), newEnd(t, "b", c.listener, offered{ca: ca})
			m := meet(t, a, b, "a")
			if (m.dialler != nil) != c.refused || (m.listener != nil) != c.refused {
				t.Errorf("got %v at the dialler and %v at the listener, want refused %v", m.dialler, m.listener, c.refused)
			}
			if got := counted(t, a, b); got != c.want {
				t.Errorf("counted %q, want %q", got, c.want)
			}
			if c.refused && !strings.Contains(a.log.String()+b.log.String(), "cluster.tls.mode") {
				t.Errorf("the log names no setting: %s%s", a.log, b.log)
			}
		})
	}
}

// TestWhoDoesNotProveWhoItIsIsRefused, and taken and told of in mode permissive.
func TestWhoDoesNotProveWhoItIsIsRefused(t *testing.T) {
	ca, other := harness.NewAuthority(t), harness.NewAuthority(t)
	sound := offered{ca: ca}
	for name, c := range map[string]struct {
		a, b   offered
		called string // what a says it is called; "a" when empty
		want   string // in a log, and in the error of one of the ends
	}{
		"the dialler's authority is another": {a: offered{ca: other, trusts: ca}, b: sound, want: "unknown authority"},
		"the listener's is":                  {a: sound, b: offered{ca: other, trusts: ca}, want: "unknown authority"},
		"the dialler has another name":       {a: offered{ca: ca, names: []string{"c"}}, b: sound, want: "for none of the names of this node: a, 127.0.0.1"},
		"the listener has":                   {a: sound, b: offered{ca: ca, names: []string{"c"}}, want: "for none of the names of this node: b, 127.0.0.1"},
		"a name that is not an alternative":  {a: offered{ca: ca, names: []string{}, change: func(c *x509.Certificate) { c.Subject.CommonName = "a" }}, b: sound, want: "no alternative name"},
		"another's id":                       {a: offered{ca: ca, names: []string{"a"}}, b: sound, called: "c", want: "for none of the names of this node: c"},
		"the dialler's has ended":            {a: offered{ca: ca, change: ended}, b: sound, want: "expired"},
		"the listener's has":                 {a: sound, b: offered{ca: ca, change: ended}, want: "expired"},
		"not for clients":                    {a: offered{ca: ca, change: func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }}, b: sound, want: "incompatible key usage"},
		"not for servers":                    {a: sound, b: offered{ca: ca, change: func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }}, want: "incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.called == "" {
				c.called = "a"
			}
			// An unsound end is permissive here: it would not start as required.
			modes := func(a, b peertls.Mode) (*end, *end) {
				return newEnd(t, "a", a, c.a), newEnd(t, "b", b, c.b)
			}
			unsoundListener := c.b.ca != ca || c.b.names != nil || c.b.change != nil
			judged, judge := peertls.Permissive, peertls.Required
			if unsoundListener {
				judged, judge = judge, judged
			}
			a, b := modes(judged, judge)
			m := meet(t, a, b, c.called)
			if m.dialler == nil {
				t.Errorf("the dialler took it: %+v", m)
			}
			got := a.log.String() + b.log.String()
			if !strings.Contains(got, c.want) || !strings.Contains(got, "refused") && !strings.Contains(got, "no connection") {
				t.Errorf("the log does not say %q: %s", c.want, got)
			}

			a, b = modes(peertls.Permissive, peertls.Permissive)
			if m := meet(t, a, b, c.called); m != (met{}) {
				t.Errorf("permissive: got %+v, want it taken", m)
			}
			if got := a.log.String() + b.log.String(); !strings.Contains(got, c.want) || !strings.Contains(got, "would be refused") {
				t.Errorf("permissive: the log does not say %q: %s", c.want, got)
			}
			if got := counted(t, a, b); !strings.Contains(got, "unverified") || strings.Contains(got, "plain") {
				t.Errorf("permissive: counted %q", got)
			}
		})
	}
}

func ended(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

// TestAnUnsoundCertificateDoesNotStartInRequired: its owner sees what the others
// would only refuse.
func TestAnUnsoundCertificateDoesNotStartInRequired(t *testing.T) {
	ca, other := harness.NewAuthority(t), harness.NewAuthority(t)
	for name, c := range map[string]struct {
		o    offered
		want string
	}{
		"another authority": {offered{ca: other, trusts: ca}, "unknown authority"},
		"another name":      {offered{ca: ca, names: []string{"c"}}, "for none of the names of this node: a, 127.0.0.1"},
		"ended":             {offered{ca: ca, change: ended}, "expired"},
		"ends tomorrow":     {offered{ca: ca, later: 24 * time.Hour}, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tryEnd(t, "a", peertls.Required, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("required: got %v, want %q", err, c.want)
			}
			if e := newEnd(t, "a", peertls.Permissive, c.o); !strings.Contains(e.log.String(), c.want) {
				t.Errorf("permissive: the log does not say %q: %s", c.want, e.log)
			}
		})
	}
}

// TestAWildcardAndEitherNameFit: one certificate for all nodes, or one for each.
func TestAWildcardAndEitherNameFit(t *testing.T) {
	ca := harness.NewAuthority(t)
	b := newEnd(t, "b", peertls.Required, offered{ca: ca, names: []string{"*.peers.example", "b"}})
	for name, names := range map[string][]string{"id": {"a"}, "address": {"127.0.0.1"}} {
		a := newEnd(t, "a", peertls.Required, offered{ca: ca, names: names})
		if m := meet(t, a, b, "a"); m != (met{}) {
			t.Errorf("%s: got %+v", name, m)
		}
	}
	l, err := b.network.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			answer(c, "a")
		}
	}()
	a := newEnd(t, "a", peertls.Required, offered{ca: ca})
	c, err := a.network.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := prove(c, "none", "b-0.peers.example"); err != nil {
		t.Errorf("wildcard: %v", err)
	}
	if err := prove(c, "none", "b-0.other.example"); err == nil {
		t.Error("a wildcard fits a host of another domain")
	}
}

// TestACallerWithoutACertificateOrWithAnotherProtocolIsRefused: TLS alone proves nothing.
func TestACallerWithoutACertificateOrWithAnotherProtocolIsRefused(t *testing.T) {
	ca := harness.NewAuthority(t)
	pair, err := tls.X509KeyPair(ca.Issue(nil, "a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"no certificate": {&tls.Config{NextProtos: []string{"mainstem-peer"}}, "shown no certificate"},
		"no protocol":    {&tls.Config{Certificates: []tls.Certificate{pair}}, "ALPN"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newEnd(t, "b", peertls.Required, offered{ca: ca})
			l, err := b.network.Listen()
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					err = answer(c, "a")
				}
				done <- err
			}()
			c.config.InsecureSkipVerify = true
			conn, err := tls.Dial("tcp", l.Addr().String(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, hello); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestChangedFilesServeTheNextConnection, authorities included; unsound ones are
// told and change nothing.
func TestChangedFilesServeTheNextConnection(t *testing.T) {
	old, next := harness.NewAuthority(t), harness.NewAuthority(t)
	a, b := newEnd(t, "a", peertls.Required, offered{ca: old}), newEnd(t, "b", peertls.Required, offered{ca: old})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, e := range []*end{a, b} {
		running.Go(func() { e.guard.Run(ctx) })
	}
	replace := func(e *end, ca *harness.Authority, trusts ...*harness.Authority) {
		var bundle []byte
		for _, t := range trusts {
			bundle = append(bundle, t.PEM()...)
		}
		cert, key := ca.Issue(nil, e.id)
		before := strings.Count(e.log.String(), "read again")
		e.files.Write(t, cert, key, bundle)
		harness.Eventually(t, 10*time.Second, "files taken", func() error {
			if strings.Count(e.log.String(), "read again") == before {
				return io.ErrNoProgress
			}
			return nil
		})
	}
	// First both authorities are trusted everywhere, then the certificates change,
	// then the old authority goes: no step keeps the two apart.
	for _, step := range []func(){
		func() { replace(a, old, old, next) },
		func() { replace(b, old, old, next) },
		func() { replace(a, next, old, next) },
		func() { replace(b, next, old, next) },
		func() { replace(a, next, next) },
		func() { replace(b, next, next) },
	} {
		step()
		if m := meet(t, a, b, "a"); m != (met{}) {
			t.Fatalf("got %+v", m)
		}
		if m := meet(t, b, a, "b"); m != (met{}) {
			t.Fatalf("got %+v", m)
		}
	}
	if err := os.WriteFile(a.files.Cert, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 10*time.Second, "the unsound certificate is told", func() error {
		if !strings.Contains(a.log.String(), "not sound") {
			return io.ErrNoProgress
		}
		return nil
	})
	if m := meet(t, a, b, "a"); m != (met{}) {
		t.Fatalf("with an unsound file: got %+v, want the last sound one in use", m)
	}
	stranger := newEnd(t, "c", peertls.Required, offered{ca: old})
	if m := meet(t, stranger, b, "c"); m.dialler == nil {
		t.Error("an authority that was taken out is trusted still")
	}
}

// TestTheLogIsNotFilledByWhoKnocks.
func TestTheLogIsNotFilledByWhoKnocks(t *testing.T) {
	ca := harness.NewAuthority(t)
	a, b := newEnd(t, "a", peertls.Off, offered{}), newEnd(t, "b", peertls.Required, offered{ca: ca})
	for range 20 {
		meet(t, a, b, "a")
	}
	if n := strings.Count(b.log.String(), "refused"); n != 1 {
		t.Errorf("20 refusals in a row were told %d times, want once", n)
	}
	if n := strings.Count(counted(t, b), "b in refused"); n != 20 {
		t.Errorf("%d of 20 refusals were counted", n)
	}
}
