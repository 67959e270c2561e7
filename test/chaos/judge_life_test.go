package chaos

// lives is what the owners of short-lived streams know about them.
type lives map[string]*life

type life struct {
	made    bool
	sure    bool // each step ended with an answer
	source  string
	from    int // of a fork: how much of the source it inherits
	own     string
	closed  bool
	deleted bool
	forks   int
}

func newLives(ops []op) lives {
	all := lives{}
	of := func(name string) *life {
		if all[name] == nil {
			all[name] = &life{sure: true}
		}
		return all[name]
	}
	for i := range ops {
		o := &ops[i]
		l := of(o.Stream)
		ok := o.Result == resultOK
		switch o.Kind {
		case opCreate:
			l.made = l.made || ok
		case opFork:
			if ok {
				_, at, err := position(o.From)
				l.made, l.source, l.from, l.sure = true, o.Source, at, err == nil
				of(o.Source).forks++
			}
		case opProduce:
			l.own += o.Body
			l.sure = l.sure && ok
		case opClose:
			l.closed = l.closed || ok
		case opDelete:
			l.deleted = l.deleted || ok
		}
	}
	return all
}

// content is what a stream must hold.
func (all lives) content(l *life) (string, bool) {
	if l.source == "" {
		return l.own, l.sure
	}
	inherited, sure := all.content(all[l.source])
	if !sure || !l.sure || l.from > len(inherited) {
		return "", false
	}
	return inherited[:l.from] + l.own, true
}

// life wants a short-lived stream to be in the end what its owner made it.
func (v *verdict) life(name string, all lives, end op) {
	l := all[name]
	content, sure := all.content(l)
	if !l.made || !sure {
		v.fail(faultIncomplete, "%s: its owner does not know what it made", name)
		return
	}
	want := 200
	switch {
	case l.deleted && l.forks > 0:
		want = 410
	case l.deleted:
		want = 404
	}
	switch {
	case end.Status != want:
		v.fail(faultState, "%s: in the end it is answered %d, want %d", name, end.Status, want)
	case want == 200 && end.Body != content:
		v.fail(faultBytes, "%s: holds %q, want %q (fork of %q at %d)", name, end.Body, content, l.source, l.from)
	case want == 200 && end.Closed != l.closed:
		v.fail(faultState, "%s: in the end closed is %v, want %v", name, end.Closed, l.closed)
	}
}
