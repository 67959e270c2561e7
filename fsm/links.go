package fsm

import (
	"fmt"

	"mainstem/stream"
	"mainstem/subs"
)

// Links returns the links of a subscription in order of their streams' names.
// If there are more than limit, it returns the pending ones only, up to limit.
func (m *Machine) Links(number uint64, limit int) ([]subs.LinkInfo, error) {
	var infos []subs.LinkInfo
	var failed error
	crowded := false
	err := m.engine.Linked(number, "", func(name stream.Name) bool {
		info, ok, err := m.look(number, name)
		switch {
		case err != nil:
			failed = err
			return false
		case !ok || crowded && !info.Pending:
			return true
		}
		infos = append(infos, info)
		if len(infos) > limit && !crowded {
			crowded = true
			infos = pendingOf(infos)
		}
		return len(infos) < limit || !crowded
	})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("links of subscription %d: %w", number, err)
	}
	return infos[:min(limit, len(infos))], nil
}

// look reads one link and the stream that it leads to; ok is false when it was
// removed while the others were read.
func (m *Machine) look(number uint64, name stream.Name) (info subs.LinkInfo, ok bool, err error) {
	encoded, ok, err := m.engine.Link(name, number)
	if err != nil || !ok {
		return info, false, err
	}
	link, err := subs.DecodeLink(encoded)
	if err != nil {
		return info, false, err
	}
	state, err := m.heads.get(name)
	if err != nil {
		return info, false, err
	}
	return link.Look(name, state), true, nil
}

func pendingOf(infos []subs.LinkInfo) []subs.LinkInfo {
	kept := infos[:0]
	for _, info := range infos {
		if info.Pending {
			kept = append(kept, info)
		}
	}
	return kept
}
