package fsm

// KeptBytes is how much is kept of long reads.
func (m *Machine) KeptBytes() int64 {
	m.chunks.mu.Lock()
	defer m.chunks.mu.Unlock()
	return m.chunks.bytes
}
