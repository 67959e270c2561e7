package fsm

// KeptBytes is how much is kept of long reads.
func (m *Machine) KeptBytes() int64 {
	m.chunks.mu.Lock()
	defer m.chunks.mu.Unlock()
	return m.chunks.bytes
}

// ReadsAhead waits until nothing is read ahead any more.
func (m *Machine) ReadsAhead() {
	for range cap(m.ahead) {
		m.ahead <- struct{}{}
	}
	for range cap(m.ahead) {
		<-m.ahead
	}
}
