package stream

// Command is what enters the replicated log: Create, Append, Delete, Touch,
// Expire, OpenSession, Mark, Control or Trim. Replicas decide it in log order; see Decide.
type Command interface {
	kind() kind
	target() Name
}

// Create asks for a stream to exist with a configuration (§5.1, §4.2).
type Create struct {
	Name        Name
	ContentType ContentType // "" means: inherit from the source, else the default
	Lifetime    Lifetime
	Closed      bool
	Body        Payload
	Fork        *Fork
	Retention   Retention
}

// Fork names the source and the divergence point of a creation (§4.2).
type Fork struct {
	Source    Name
	Offset    *Offset // nil means the source's tail
	SubOffset uint64
}

// Append asks for data at the end of a stream, or its closing, or both (§5.2).
type Append struct {
	Name        Name
	ContentType ContentType // of Body; "" when Body is empty
	Body        Payload
	Seq         string // Stream-Seq, "" when absent; compared per stream
	Producer    *Producer
	Close       bool
	IfMatch     *Offset // the tail it must find; nil for any, zero for a stream that is empty
}

// Delete asks for a stream to be removed (§5.4).
type Delete struct{ Name Name }

// Touch renews a sliding lifetime for a read (§5.1, Stream-TTL).
type Touch struct{ Name Name }

// Expire asks whether a stream has passed its deadline, and removes it if so.
type Expire struct{ Name Name }

// OpenSession asks for a session, under which a proposer's batches are
// recognised when they are proposed again. It is sent outside any session.
type OpenSession struct{}

// Mark asks every replica to remember its state at this entry, so that it can be
// compared with the others': the part that begins at key From and holds about
// Bytes. What a key is, the replica's storage knows. A mark changes nothing.
type Mark struct {
	From  string
	Bytes uint64
}

// Control carries a command of other rules than those of streams, whose bytes
// this package passes on. Decide does not know it; the answer of those rules
// comes back in Outcome.Answer.
type Control struct{ Body []byte }

// Trim asks for the oldest data of a stream to go: what lies before To, and what
// its retention does not keep.
type Trim struct {
	Name Name
	To   *Offset // nil for what retention says alone
}

// kind is the first byte of an encoded command. Append only, never reorder.
type kind uint8

const (
	_ kind = iota
	kindCreate
	kindAppend
	kindDelete
	kindTouch
	kindExpire
	kindOpenSession
	kindMark
	kindControl
	kindTrim
)

// grows reports that a kind of command brings data. What does not is let through
// when a disk is full: it is small, or makes space. One that is new counts as
// bringing data until it is listed.
func (k kind) grows() bool {
	switch k {
	case kindDelete, kindTouch, kindExpire, kindOpenSession, kindMark, kindTrim:
		return false
	}
	return true
}

// Grows reports that a command brings data, for which there must be space.
func Grows(c Command) bool { return c.kind().grows() }

func (Create) kind() kind { return kindCreate }
func (Append) kind() kind { return kindAppend }
func (Delete) kind() kind { return kindDelete }
func (Touch) kind() kind  { return kindTouch }
func (Expire) kind() kind { return kindExpire }

func (OpenSession) kind() kind { return kindOpenSession }
func (Mark) kind() kind        { return kindMark }
func (Control) kind() kind     { return kindControl }
func (Trim) kind() kind        { return kindTrim }

func (c Create) target() Name { return c.Name }
func (c Append) target() Name { return c.Name }
func (c Delete) target() Name { return c.Name }
func (c Touch) target() Name  { return c.Name }
func (c Expire) target() Name { return c.Name }
func (c Trim) target() Name   { return c.Name }

func (OpenSession) target() Name { return "" }
func (Mark) target() Name        { return "" }
func (Control) target() Name     { return "" }
