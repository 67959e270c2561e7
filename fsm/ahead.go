package fsm

import "mainstem/stream"

// aheadMost bounds how many readers are read ahead for at the same time.
const aheadMost = 4

// readAhead brings what follows a full chunk into the copy's cache, while the chunk
// is on its way: whoever reads a stream that is not in memory asks for that next, and
// would wait for the disk while nothing else happens. It is a guess; nothing depends
// on it, and its errors are met by who asks.
func (m *Machine) readAhead(s *stream.State, pos uint64, limit int) {
	select {
	case m.ahead <- struct{}{}:
	default:
		return
	}
	owner, end := s.Owner(pos)
	end = min(end, pos+uint64(limit))
	go func() {
		defer func() { <-m.ahead }()
		_ = m.engine.Records(owner, pos, func(start uint64, _ []byte) bool { return start < end })
	}()
}
