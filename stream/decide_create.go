package stream

// create applies §5.1 and, for forks, §4.2.
func (d *decision) create(c Create) (Outcome, *Rejection) {
	if s := d.live(c.Name); s != nil {
		return d.recreate(c, s)
	}
	s := State{
		Incarnation: d.view.Incarnations() + 1,
		ContentType: c.ContentType,
		Lifetime:    c.Lifetime,
		CreatedAt:   d.now,
		Closed:      c.Closed,
		Retention:   c.Retention,
	}
	var prefix StoredAppend
	if c.Fork != nil {
		var no *Rejection
		if prefix, no = d.fork(c, &s); no != nil {
			return Outcome{}, no
		}
	}
	if s.ContentType == "" {
		s.ContentType = DefaultContentType
	}
	body := c.Body
	if body.Raw {
		framed, err := Frame(s.ContentType, body.Data)
		if err != nil {
			return Outcome{}, err.(*Rejection)
		}
		body = framed
	}
	if s.Pos+uint64(len(prefix.Data))+uint64(len(body.Data)) > offsetMax {
		return Outcome{}, &Rejection{Code: StreamTooLong}
	}
	if no := d.fits(&s, uint64(len(prefix.Data)+len(body.Data))); no != nil {
		return Outcome{}, no
	}
	// From here on nothing refuses: only now may a reference be taken.
	if s.Origin != nil {
		source := *d.stream(s.Origin.Source)
		source.Refs++
		source.pin(s.Base)
		d.put(s.Origin.Source, source)
	}
	d.change.Drawn = s.Incarnation
	if len(prefix.Data) > 0 {
		d.write(&s, prefix)
	}
	if !body.Empty() {
		d.write(&s, StoredAppend{Data: body.Data, Messages: body.Messages, At: d.now})
	}
	s.renew(d.now)
	d.put(c.Name, s)
	return created(&s, true), nil
}

func created(s *State, fresh bool) Outcome {
	return Outcome{Next: s.Tail(), Closed: s.Closed, Created: fresh, ContentType: s.ContentType}
}

// recreate answers a creation of what exists: yes if it is the same (§5.1).
func (d *decision) recreate(c Create, s *State) (Outcome, *Rejection) {
	if s.Deleted {
		return Outcome{}, &Rejection{Code: PathSoftDeleted}
	}
	if no := c.mismatch(s); no != "" {
		return Outcome{}, &Rejection{Code: ConfigMismatch,
			Detail: "a stream exists at this path with another " + no + "; HEAD shows its configuration. Match it, or choose another path"}
	}
	d.use(c.Name, s)
	return created(s, false), nil
}

// mismatch names the first part of the configuration that differs, "" for none.
func (c *Create) mismatch(s *State) string {
	inherits := c.Fork != nil && s.Origin != nil
	want := c.ContentType
	if want == "" && inherits {
		want = s.ContentType
	}
	if want == "" {
		want = DefaultContentType
	}
	sameLifetime := c.Lifetime.Same(s.Lifetime) || inherits && c.Lifetime.IsNone() && s.Origin.InheritsLifetime
	switch {
	case !want.Same(s.ContentType):
		return "content type"
	case !sameLifetime:
		return "lifetime (Stream-TTL or Stream-Expires-At)"
	case c.Retention != s.Retention:
		return "retention (Stream-Retention-Bytes or Stream-Retention-Age)"
	case c.Closed != s.Closed:
		return "closure status (Stream-Closed)"
	case (c.Fork == nil) != (s.Origin == nil):
		return "origin (Stream-Forked-From)"
	case c.Fork == nil:
		return ""
	}
	return c.Fork.mismatch(s.Origin)
}

// mismatch compares a fork request with what was requested before. An offset
// that is left out matches any; the sub-offset is compared as it was sent,
// whatever it resolved to.
func (f *Fork) mismatch(o *Origin) string {
	start := f.Offset != nil && f.Offset.IsZero() && o.Offset.Pos == 0
	switch {
	case f.Source != o.Source:
		return "source (Stream-Forked-From)"
	case f.Offset != nil && *f.Offset != o.Offset && !start:
		return "divergence point (Stream-Fork-Offset)"
	case f.SubOffset != o.SubOffset:
		return "divergence point (Stream-Fork-Sub-Offset)"
	}
	return ""
}

// fork resolves the divergence and fills s with what it inherits. prefix is the
// part of one append that a sub-offset takes; it becomes the fork's own first.
func (d *decision) fork(c Create, s *State) (prefix StoredAppend, no *Rejection) {
	source := d.live(c.Fork.Source)
	switch {
	case source == nil:
		return prefix, &Rejection{Code: ForkSourceNotFound}
	case source.Deleted:
		return prefix, &Rejection{Code: ForkSourceDeleted}
	case c.ContentType != "" && !c.ContentType.Same(source.ContentType):
		return prefix, &Rejection{Code: ForkTypeMismatch}
	}
	pos, no := d.divergence(c.Fork, source)
	if no != nil {
		return prefix, no
	}
	if prefix, no = d.prefix(c.Fork.SubOffset, source, pos); no != nil {
		return prefix, no
	}
	if c.ContentType == "" {
		s.ContentType = source.ContentType
	}
	s.Origin = &Origin{
		Source:            c.Fork.Source,
		SourceIncarnation: source.Incarnation,
		Offset:            source.OffsetAt(pos),
		SubOffset:         c.Fork.SubOffset,
		InheritsLifetime:  c.Lifetime.IsNone() && !source.Lifetime.IsNone(),
	}
	if c.Lifetime.IsNone() {
		s.Lifetime = source.Lifetime // §4.2, table of lifetimes
	}
	if !s.Retention.IsNone() && pos > source.Horizon {
		s.TrimAt = max(d.now, 1) // what it inherits may be older than it keeps
	}
	s.Base, s.Pos, s.Horizon, s.Spans = pos, pos, source.Horizon, source.spansTo(pos)
	return prefix, nil
}

func (d *decision) divergence(f *Fork, source *State) (uint64, *Rejection) {
	if f.Offset == nil {
		return source.Pos, nil
	}
	pos, at := source.Locate(*f.Offset)
	switch at {
	case Beyond, Newer:
		return 0, &Rejection{Code: ForkOffsetBeyondTail}
	case Earlier, Never:
		return 0, &Rejection{Code: BadOffset, Detail: "Stream-Fork-Offset is not an offset of the source"}
	}
	if no := source.CheckKept(pos); no != nil {
		return 0, no
	}
	if pos != source.Horizon && !d.view.Ends(source.OffsetAt(pos).Incarnation, pos) {
		return 0, &Rejection{Code: BadOffset, Detail: "Stream-Fork-Offset is not an offset that the source returned"}
	}
	return pos, nil
}

// prefix takes the first sub messages (JSON) or bytes (other content) of the
// one append that follows pos.
func (d *decision) prefix(sub uint64, source *State, pos uint64) (StoredAppend, *Rejection) {
	if sub == 0 {
		return StoredAppend{}, nil
	}
	owner, _ := source.Owner(pos)
	a, ok := d.view.AppendAt(owner, pos)
	if !ok || pos == source.Pos {
		return StoredAppend{}, &Rejection{Code: BadSubOffset}
	}
	n := sub
	if source.ContentType.JSON() {
		if sub > uint64(len(a.Messages)) {
			return StoredAppend{}, &Rejection{Code: BadSubOffset}
		}
		n, a.Messages = 0, a.Messages[:sub]
		for _, m := range a.Messages {
			n += uint64(m)
		}
	}
	if n > uint64(len(a.Data)) {
		return StoredAppend{}, &Rejection{Code: BadSubOffset}
	}
	a.Data, a.At = a.Data[:n], d.now
	return a, nil
}
