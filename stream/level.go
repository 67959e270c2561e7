package stream

// A level is how much of what enters the log a version of mainstem understands.
// An envelope begins with the one that it needs, and no leader proposes one above
// that of any member.
const (
	// LevelOldest is the lowest that this version works with. Level 1 had no limits
	// in its envelopes, and was never released.
	LevelOldest = 2
	// LevelTails came with copies in which a record that is added is all that is
	// written of an append: see State.SameButTail. No command needs it. From the first
	// entry on that the leader gives it, the copies of all nodes are so.
	LevelTails = LevelOldest + 1
	// LevelSlots came with copies that keep outcomes in slots of their sessions, in the
	// same way.
	LevelSlots = LevelTails + 1
	// Level is this version's own. Raise it with a command, a flag or a kind of
	// result that the version before it does not know, and say in LevelOf what
	// needs it.
	Level = LevelSlots
)

// Since which level the parts of commands are understood. What is not here has
// been since LevelOldest.
const (
	levelIfMatch   = LevelOldest
	levelRetention = LevelOldest
)

// LevelOf is the level that a node needs to understand a command.
func LevelOf(c Command) byte {
	switch c := c.(type) {
	case Append:
		if c.IfMatch != nil {
			return levelIfMatch
		}
	case Create:
		if !c.Retention.IsNone() {
			return levelRetention
		}
	case Trim:
		return levelRetention
	}
	return LevelOldest
}

// EnvelopeLevel is the level that a node needs to understand an envelope, which
// AppendToEnvelope keeps in its first byte.
func EnvelopeLevel(envelope []byte) byte { return envelope[0] }

// Agree tells the replicas that decide an entry what all members understand, as the
// leader knows it: the level of each envelope becomes that, if it needs no more.
func Agree(entry []byte, level byte) error {
	return inEach(entry, func(envelope []byte) { RaiseLevel(envelope, min(level, Level)) })
}

// RaiseLevel is for a command that is added to an envelope as bytes.
func RaiseLevel(envelope []byte, level byte) { envelope[0] = max(envelope[0], level) }
