package stream

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var modelSteps = flag.Int("steps", 6000, "commands per seed of the model test")

// modelStream is the naive idea of a stream: a list of appends, each with the
// token that was returned for its end. A fork is a copy. Nothing in it knows
// incarnations, spans, positions or reference counts.
type modelStream struct {
	name      Name
	typ       ContentType
	life      Lifetime
	deadline  Time
	closed    bool
	closedBy  *Producer
	seq       string
	producers map[string]ProducerState
	appends   []modelAppend // the first is empty: the start
	source    *modelStream
	anchor    string // token of the divergence
	sub       uint64
	inherits  bool
	forks     int
	deleted   bool
	retention Retention
	horizon   int // how many of appends are no longer to be read, less the first
}

type modelAppend struct {
	token    string
	messages []string // one for content other than JSON
	at       Time
}

func (a *modelAppend) size() (n uint64) {
	for _, m := range a.messages {
		n += uint64(len(m))
	}
	return n
}

func (s *modelStream) tail() string { return s.appends[len(s.appends)-1].token }

func (s *modelStream) body() string {
	var b strings.Builder
	for _, a := range s.appends[s.horizon+1:] {
		for _, m := range a.messages {
			b.WriteString(m)
		}
	}
	return b.String()
}

func (s *modelStream) renew(now Time) {
	if window, ok := s.life.TTL(); ok {
		s.deadline = now + Time(window/time.Millisecond)
	}
}

// model predicts the code of each command, 0 for acceptance, and then is told
// the token that the rules minted.
type model struct {
	now     Time
	streams map[Name]*modelStream
}

// find is a stream after its own expiry.
func (m *model) find(name Name) *modelStream {
	if s := m.streams[name]; s != nil && !s.deleted && s.deadline != 0 && m.now >= s.deadline {
		m.end(s)
	}
	return m.streams[name]
}

func (m *model) end(s *modelStream) {
	if s.forks > 0 {
		s.deleted = true
		return
	}
	delete(m.streams, s.name)
	if up := s.source; up != nil {
		if up.forks--; up.deleted && up.forks == 0 {
			m.end(up)
		}
	}
}

func (m *model) usable(name Name) (*modelStream, Code) {
	switch s := m.find(name); {
	case s == nil:
		return nil, NotFound
	case s.deleted:
		return nil, Gone
	default:
		return s, 0
	}
}

// expectation is what the model says of a command.
type expectation struct {
	codes              []Code // any of these; none: accepted
	stream             *modelStream
	created, duplicate bool
	minted             []modelAppend // appends whose last token the rules choose
}

func no(codes ...Code) expectation { return expectation{codes: codes} }

func (m *model) expect(c Command) expectation {
	switch c := c.(type) {
	case Create:
		return m.create(c)
	case Append:
		return m.append(c)
	}
	s, code := m.usable(c.target())
	if code != 0 {
		return no(code)
	}
	switch c := c.(type) {
	case Trim:
		return m.trim(s, c)
	case Delete:
		m.end(s)
	case Touch:
		s.renew(m.now)
	}
	return expectation{stream: s}
}

// trim forgets what is asked for, and what retention does not keep: an append
// goes when all of it is beyond a bound.
func (m *model) trim(s *modelStream, c Trim) expectation {
	to := 0
	if c.To != nil && !c.To.IsZero() {
		token := c.To.String()
		if to = slices.IndexFunc(s.appends, func(a modelAppend) bool { return a.token == token }); to < 0 {
			return no(BadOffset, Gone)
		}
	}
	s.horizon = max(s.horizon, to)
	if b := s.retention.Bytes; b > 0 {
		left := uint64(0)
		for i := len(s.appends) - 1; i > s.horizon; i-- {
			if left += s.appends[i].size(); left >= b {
				s.horizon = i - 1
			}
		}
	}
	for age := s.retention.Age; age > 0 && s.horizon+1 < len(s.appends) && s.appends[s.horizon+1].at+Time(age)*1000 <= m.now; {
		s.horizon++
	}
	return expectation{stream: s}
}

func (m *model) append(c Append) expectation {
	s, code := m.usable(c.Name)
	switch {
	case code != 0:
		return no(code)
	case s.closed && (c.Producer != nil && s.closedBy != nil && *s.closedBy == *c.Producer || c.Producer == nil && c.Close && c.Body.Empty()):
		s.renew(m.now)
		return expectation{stream: s, duplicate: true}
	case s.closed:
		return no(Closed)
	case !c.Body.Empty() && !strings.EqualFold(string(c.ContentType), string(s.typ)):
		return no(ContentTypeMismatch)
	}
	if p := c.Producer; p != nil {
		last, known := s.producers[p.ID]
		switch {
		case !known && p.Seq > 0, known && p.Epoch == last.Epoch && p.Seq > last.LastSeq+1:
			return no(ProducerGap)
		case known && p.Epoch < last.Epoch:
			return no(ProducerFenced)
		case known && p.Epoch > last.Epoch && p.Seq != 0:
			return no(EpochNotAtZero)
		case known && p.Epoch == last.Epoch && p.Seq <= last.LastSeq:
			s.renew(m.now)
			return expectation{stream: s, duplicate: true}
		}
	}
	if c.IfMatch != nil && c.IfMatch.String() != s.tail() && !(c.IfMatch.IsZero() && len(s.appends) == 1) {
		return no(TailMoved)
	}
	if c.Seq != "" && c.Seq <= s.seq {
		return no(SeqConflict)
	}
	if c.Producer != nil {
		s.producers[c.Producer.ID] = ProducerState{c.Producer.Epoch, c.Producer.Seq}
	}
	if c.Seq != "" {
		s.seq = c.Seq
	}
	if c.Close {
		s.closed, s.closedBy = true, c.Producer
	}
	s.renew(m.now)
	return expectation{stream: s, minted: payloadAppends(c.Body)}
}

// payloadAppends splits a payload by its table.
func payloadAppends(p Payload) []modelAppend {
	if len(p.Data) == 0 {
		return nil
	}
	if p.Messages == nil {
		return []modelAppend{{messages: []string{string(p.Data)}}}
	}
	var a modelAppend
	for rest := p.Data; len(rest) > 0; {
		n := p.Messages[len(a.messages)]
		a.messages, rest = append(a.messages, string(rest[:n])), rest[n:]
	}
	return []modelAppend{a}
}

func (m *model) create(c Create) expectation {
	if s := m.find(c.Name); s != nil {
		if s.deleted {
			return no(PathSoftDeleted)
		}
		if !s.matches(c) {
			return no(ConfigMismatch)
		}
		s.renew(m.now)
		return expectation{stream: s}
	}
	s := &modelStream{name: c.Name, typ: c.ContentType, life: c.Lifetime, closed: c.Closed, retention: c.Retention, producers: map[string]ProducerState{}}
	minted := payloadAppends(c.Body)
	if c.Fork != nil {
		prefix, codes := m.fork(c, s)
		if codes != nil {
			return no(codes...)
		}
		minted = append(prefix, minted...)
		s.source.forks++
	} else {
		s.appends = []modelAppend{{}}
	}
	if s.typ == "" {
		s.typ = DefaultContentType
	}
	if at := s.life.ExpiresAtText(); at != "" {
		parsed, _ := time.Parse(time.RFC3339, at)
		s.deadline = TimeOf(parsed)
	}
	s.renew(m.now)
	m.streams[c.Name] = s
	return expectation{stream: s, created: true, minted: minted}
}

func (s *modelStream) matches(c Create) bool {
	switch {
	case c.ContentType != "" && c.ContentType != s.typ, c.ContentType == "" && c.Fork == nil && s.typ != DefaultContentType:
		return false
	case c.Retention != s.retention:
		return false
	case c.Closed != s.closed, (c.Fork == nil) != (s.source == nil):
		return false
	case !c.Lifetime.Same(s.life) && !(c.Fork != nil && c.Lifetime.IsNone() && s.inherits):
		return false
	case c.Fork == nil:
		return true
	}
	at := ""
	if c.Fork.Offset != nil {
		at = c.Fork.Offset.String()
	}
	start := s.anchor == s.appends[0].token && c.Fork.Offset != nil && c.Fork.Offset.IsZero()
	return c.Fork.Source == s.source.name && (at == "" || at == s.anchor || start) && c.Fork.SubOffset == s.sub
}

func (m *model) fork(c Create, s *modelStream) (prefix []modelAppend, codes []Code) {
	source := m.find(c.Fork.Source)
	switch {
	case source == nil:
		return nil, []Code{ForkSourceNotFound}
	case source.deleted:
		return nil, []Code{ForkSourceDeleted}
	case c.ContentType != "" && c.ContentType != source.typ:
		return nil, []Code{ForkTypeMismatch}
	}
	at := len(source.appends) - 1
	if o := c.Fork.Offset; o != nil && o.IsZero() {
		at = 0
	} else if o != nil {
		token := o.String()
		if at = slices.IndexFunc(source.appends, func(a modelAppend) bool { return a.token == token }); at < 0 {
			if token > source.tail() {
				return nil, []Code{BadOffset, ForkOffsetBeyondTail}
			}
			if token < source.appends[source.horizon].token {
				return nil, []Code{BadOffset, Trimmed}
			}
			return nil, []Code{BadOffset}
		}
	}
	if at < source.horizon {
		return nil, []Code{Trimmed}
	}
	s.horizon = source.horizon
	if sub := int(c.Fork.SubOffset); sub > 0 {
		if at+1 == len(source.appends) {
			return nil, []Code{BadSubOffset}
		}
		messages := source.appends[at+1].messages
		if !source.typ.JSON() {
			if sub > len(messages[0]) {
				return nil, []Code{BadSubOffset}
			}
			messages, sub = []string{messages[0][:sub]}, 1
		}
		if sub > len(messages) {
			return nil, []Code{BadSubOffset}
		}
		prefix = []modelAppend{{messages: messages[:sub]}}
	}
	s.source, s.typ, s.sub, s.anchor = source, source.typ, c.Fork.SubOffset, source.appends[at].token
	s.appends = slices.Clone(source.appends[:at+1])
	if c.Lifetime.IsNone() {
		s.life, s.inherits = source.life, !source.life.IsNone()
	}
	return prefix, nil
}

// TestRulesAgreeWithANaiveModel gives the same random commands to Decide and to
// the model, and compares every answer and every body.
func TestRulesAgreeWithANaiveModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := newReplica(t)
			m := &model{now: r.now, streams: map[Name]*modelStream{}}
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 7)), t: t, model: m}
			codes, accepted := map[Code]int{}, 0
			for step := range *modelSteps {
				if g.IntN(4) == 0 {
					r.now += Time(g.IntN(700))
					m.now = r.now
				}
				c := g.command()
				want := m.expect(c)
				got := r.do(c)
				if got.Rejection != nil {
					codes[got.Rejection.Code]++
				} else {
					accepted++
				}
				compare(t, step, m.now, c, got, want)
				for name, s := range m.streams {
					if real := r.streams[name]; real == nil || real.Deleted != s.deleted || real.Closed != s.closed || r.body(real) != s.body() {
						t.Fatalf("step %d, after %T %+v: %q is %+v, the model has %+v", step, c, c, name, real, s)
					}
				}
				if len(r.streams) != len(m.streams) {
					t.Fatalf("step %d, after %+v: %d streams, the model has %d", step, c, len(r.streams), len(m.streams))
				}
			}
			// The walk must have met every rule, or it proves little.
			for _, code := range []Code{NotFound, Gone, ConfigMismatch, PathSoftDeleted, ContentTypeMismatch, SeqConflict, Closed, ProducerFenced,
				EpochNotAtZero, ProducerGap, ForkSourceNotFound, ForkSourceDeleted, ForkTypeMismatch, ForkOffsetBeyondTail, BadSubOffset, BadOffset, TailMoved, Trimmed} {
				if codes[code] == 0 {
					t.Errorf("no command met code %d", code)
				}
			}
			t.Logf("%d accepted, refused by code: %v", accepted, codes)
		})
	}
}

func compare(t *testing.T, step int, now Time, c Command, got Result, want expectation) {
	t.Helper()
	if no := got.Rejection; no != nil || want.codes != nil {
		if no == nil || !slices.Contains(want.codes, no.Code) {
			t.Fatalf("step %d: %T %+v: %+v, %v; want code %v", step, c, c, got.Outcome, no, want.codes)
		}
		return
	}
	s, out := want.stream, got.Outcome
	if out.Created != want.created || out.Duplicate != want.duplicate {
		t.Fatalf("step %d: %T %+v: %+v; want created %v, duplicate %v", step, c, c, out, want.created, want.duplicate)
	}
	next := out.Next.String()
	if n := len(s.appends); n == 1 && s.appends[0].token == "" { // a new stream: its start is minted too
		s.appends[0].token = Offset{out.Next.Incarnation, 0}.String()
	}
	whole := uint64(0)
	for _, a := range s.appends {
		whole += a.size()
	}
	for i, a := range want.minted { // a fork's prefix and its body: only the end of both is told
		a.token = next
		if i < len(want.minted)-1 {
			a.token = Offset{out.Next.Incarnation, whole + a.size()}.String()
		}
		if a.token <= s.tail() {
			t.Fatalf("step %d: %T %+v: offset %s after %s", step, c, c, a.token, s.tail())
		}
		a.at, whole = now, whole+a.size()
		s.appends = append(s.appends, a)
	}
	if next != s.tail() || out.Closed != s.closed {
		t.Fatalf("step %d: %T %+v: next %s, closed %v; want %s, %v", step, c, c, next, out.Closed, s.tail(), s.closed)
	}
	if _, trims := c.(Trim); trims && out.Horizon.String() != s.appends[s.horizon].token {
		t.Fatalf("step %d: %+v: horizon %v, want %s", step, c, out.Horizon, s.appends[s.horizon].token)
	}
	a, isAppend := c.(Append)
	if isAppend && a.Producer != nil {
		if want := s.producers[a.Producer.ID]; out.Producer == nil || *out.Producer != want {
			t.Fatalf("step %d: %+v: producer %v, want %v", step, c, out.Producer, want)
		}
	}
}

// generator makes commands that are near the truth: right names, tokens and
// sequences most of the time.
type generator struct {
	*rand.Rand
	t     testing.TB
	model *model
}

func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

func (g *generator) name() Name { return Name(pick(g, "a", "b", "c", "d", "e", "f", "g", "h")) }

func (g *generator) command() Command {
	switch n := g.IntN(100); {
	case n < 20:
		return g.create(nil)
	case n < 42:
		return g.create(g.fork())
	case n < 84:
		return g.append()
	case n < 90:
		return Delete{g.name()}
	case n < 92:
		return Touch{g.name()}
	case n < 98:
		return g.trim()
	}
	return Expire{g.name()}
}

func (g *generator) trim() Trim {
	c := Trim{Name: g.name()}
	if s := g.model.streams[c.Name]; s != nil && g.IntN(2) == 0 {
		at, err := ParseOffset(pick(g, s.appends[g.IntN(len(s.appends))].token, s.tail()))
		if err != nil {
			g.t.Fatal(err)
		}
		if at.String() >= s.appends[s.horizon].token && g.IntN(12) == 0 { // what is trimmed is not looked at more closely
			at.Pos++
		}
		c.To = &at
	}
	return c
}

func (g *generator) retention() (r Retention) {
	if g.IntN(3) == 0 {
		r.Bytes = uint64(1 + g.IntN(20))
	}
	if g.IntN(4) == 0 {
		r.Age = uint64(1 + g.IntN(30))
	}
	return r
}

func (g *generator) payload(typ ContentType) Payload {
	if typ.JSON() {
		return jsonBody(g.t, pick(g, `1`, `[1, 22]`, `[{"a":1},[2],"x,"]`, `[]`))
	}
	return Payload{Data: []byte(pick(g, "x", "yy", "zzz", "wwwwwwww"))}
}

func (g *generator) lifetime() Lifetime {
	switch g.IntN(8) {
	case 0:
		return ttl(g.t, uint64(g.IntN(30)))
	case 1:
		return expiresAt(g.t, g.model.now+Time(g.IntN(40_000)-500))
	}
	return Lifetime{}
}

func (g *generator) create(f *Fork) Create {
	c := Create{Name: g.name(), Lifetime: g.lifetime(), Retention: g.retention(), Fork: f, Closed: g.IntN(12) == 0}
	c.ContentType = pick[ContentType](g, "text/plain", "text/plain", "application/json", "")
	if f != nil && g.IntN(6) > 0 {
		c.ContentType = ""
	}
	body := c.ContentType
	if f != nil {
		if source := g.model.streams[f.Source]; source != nil {
			body = source.typ
		}
	}
	if g.IntN(2) == 0 {
		c.Body = g.payload(body)
	}
	if s := g.model.streams[c.Name]; s != nil && g.IntN(2) == 0 { // what exists, as it was asked for
		c.ContentType, c.Lifetime, c.Closed = s.typ, s.life, s.closed
		if s.source != nil {
			anchor, _ := ParseOffset(s.anchor)
			c.Fork = &Fork{Source: s.source.name, Offset: &anchor, SubOffset: s.sub}
			if g.IntN(3) == 0 {
				c.Fork.Offset = nil
			}
		} else if g.IntN(4) > 0 {
			c.Fork = nil
		}
	}
	return c
}

func (g *generator) fork() *Fork {
	f := &Fork{Source: g.name()}
	donor := g.model.streams[f.Source]
	if g.IntN(8) == 0 {
		donor = g.model.streams[g.name()]
	}
	if donor != nil && g.IntN(4) > 0 {
		o, err := ParseOffset(donor.appends[g.IntN(len(donor.appends))].token)
		if err != nil {
			g.t.Fatal(err)
		}
		switch g.IntN(12) {
		case 0:
			o = Offset{}
		case 1:
			o.Pos++
		case 2:
			o.Pos += 1000
		case 3:
			o.Incarnation++
		}
		f.Offset = &o
		if g.IntN(3) == 0 {
			f.SubOffset = uint64(g.IntN(5))
		}
	}
	return f
}

func (g *generator) append() Append {
	c := Append{Name: g.name(), ContentType: "text/plain", Close: g.IntN(15) == 0}
	s := g.model.streams[c.Name]
	if s != nil && g.IntN(10) > 0 {
		c.ContentType = s.typ
	}
	if !c.Close || g.IntN(2) == 0 {
		if c.Body = g.payload(c.ContentType); c.Body.Empty() { // refused at the edge
			c.Body = Payload{Data: []byte("1,"), Messages: []uint32{2}}
		}
	}
	if g.IntN(4) == 0 {
		c.Seq = fmt.Sprint(g.IntN(30))
	}
	if s != nil && g.IntN(6) == 0 {
		c.IfMatch = &Offset{}
		if at, err := ParseOffset(s.appends[max(0, len(s.appends)-1-g.IntN(2))].token); err == nil && g.IntN(5) > 0 {
			c.IfMatch = &at
		}
	}
	if g.IntN(2) == 0 {
		c.Producer = &Producer{ID: pick(g, "p", "q"), Epoch: uint64(g.IntN(3)), Seq: uint64(g.IntN(3))}
		if s != nil && g.IntN(3) > 0 {
			if last, ok := s.producers[c.Producer.ID]; ok {
				c.Producer.Epoch, c.Producer.Seq = last.Epoch, last.LastSeq+uint64(g.IntN(2))
			}
		}
		if s != nil && s.closedBy != nil && g.IntN(2) == 0 {
			again := *s.closedBy
			c.Producer = &again
		}
	}
	return c
}
