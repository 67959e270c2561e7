package mutants

var ofMachine = []mutant{
	{
		name:   "session by high-water mark",
		breaks: "of two batches in flight the one that comes second into the log is refused",
		edits:  []edit{{"fsm/sessions.go", "one.Use(now, h.Floor)", "one.Use(now, h.Sequence+1)"}},
		caught: []catcher{inUnit("fsm", "TestSessionIsAWindowNotAHighWaterMark")},
	},
	{
		name:   "evicted session applied",
		breaks: "a repeat is stored twice when its session has ended",
		edits:  []edit{{"fsm/sessions.go", "return stream.Lost, nil", "return stream.Fresh, nil"}},
		caught: []catcher{inUnit("fsm", "TestLostBatchIsRefusedAndNeverApplied"), inUnit("fsm", "TestSessionsAreBounded")},
	},
	{
		name:   "outcome lost on repeat",
		breaks: "an append that rode over a failover is answered with a wrong offset",
		edits:  []edit{{"fsm/machine.go", "return results, nil\n\t}\n\tresults = make(", "return make([]stream.Result, len(results)), nil\n\t}\n\tresults = make("}},
		caught: []catcher{inUnit("fsm", "TestRepeatIsAnsweredWithTheFirstOutcome"), inUnit("test/sim", "TestPromisesHoldUnderRandomFaults").seeded("1")},
	},
	{
		name:   "outcomes lost by a restart",
		breaks: "a repeat is stored twice by a replica that has restarted, and replicas differ",
		edits:  []edit{{"fsm/sessions.go", "\tb.PutSlot(h.Session, byte(h.Sequence%sessionSlots), s.buf)\n", ""}},
		caught: []catcher{inUnit("fsm", "TestRepeatIsAnsweredWithTheFirstOutcome")},
	},
	{
		name:   "producers lost by a restart",
		breaks: "a producer's retry is stored twice after a restart",
		edits:  []edit{{"fsm/txn.go", "t.batch.PutProducer(key.incarnation, key.id, t.buf)", "_ = key"}},
		caught: []catcher{inUnit("fsm", "TestProducerStateIsAtomicWithItsData"), inBattery("TestKillOfASingleNodeLosesNothing")},
	},
	{
		name:   "state stored as of the commit",
		breaks: "replicas whose commits are grouped otherwise hold other bytes, and quarantine each other",
		edits:  []edit{{"fsm/txn.go", "next := s.owes", "next := s.current"}},
		caught: []catcher{inUnit("fsm", "TestGroupingLeavesTheSameCopy")},
	},
	{
		name:   "tail taken from the state alone",
		breaks: "what was acknowledged last is not there for who has no state in memory",
		edits:  []edit{{"storage/streams.go", "s.Pos = max(s.Pos, end)", "_ = end"}},
		caught: []catcher{inUnit("storage", "TestTheTailIsWhereTheLastRecordEnds"), inUnit("fsm", "TestColdStatesAreThoseInMemory")},
	},
	{
		name:   "machine time may go back",
		breaks: "a leader whose clock is behind brings lifetimes back",
		edits:  []edit{{"fsm/txn.go", "max(t.globals.Now, h.At)", "h.At"}},
		caught: []catcher{inUnit("fsm", "TestTimeNeverGoesBack")},
	},
	{
		name:   "boundary taken from the coalesced value",
		breaks: "what others appended at the same moment changes where a fork begins",
		edits: []edit{{"fsm/view.go", "a, ok = r.AppendAt(pos)",
			"if a, ok = r.AppendAt(pos); ok {\n\t\t\ta.Data = r.Slice(pos, r.End())\n\t\t}"}},
		caught: []catcher{inUnit("fsm", "TestForkSeesAppendsWhereverTheyAre")},
	},
	{
		name:   "lost wake-up",
		breaks: "a live reader sleeps on while its stream grows",
		edits: []edit{{"fsm/heads.go", "\ts.mu.RUnlock()\n\tif !held {\n\t\tv.state, err = h.load(s, name, moves)",
			"\ts.mu.RUnlock()\n\ts.mu.RLock()\n\tif t := s.tails[name]; t != nil {\n\t\tv.bell = t.bell\n\t}\n\ts.mu.RUnlock()\n\tif !held {\n\t\tv.state, err = h.load(s, name, moves)"}},
		caught: []catcher{inUnit("fsm", "TestNoBellIsMissed").within(3)},
	},
	{
		name:   "tail frames skipped on overflow",
		breaks: "a live reader that falls behind misses what memory has dropped",
		edits: []edit{
			{"fsm/tail.go", "|| pos < pieces[0].record.Start || pos", "|| pos"},
			{"fsm/tail.go", "\tif pos >= pieces[last].record.Start {", "\tif pos < pieces[0].record.Start {\n\t\treturn 0, true\n\t}\n\tif pos >= pieces[last].record.Start {"},
			{"fsm/gather.go", "g.err = &missing{g.state.Incarnation, g.pos}\n\t\treturn 0, false", "g.pos = r.Start"},
		},
		caught: []catcher{inUnit("fsm", "TestMemoryAndCopyAnswerAlike")},
	},
	{
		name:   "counted as applied before it can be read",
		breaks: "a read right after an acknowledgement does not see the append",
		edits: []edit{{"fsm/machine.go", "\tm.heads.publish(changed, m.txn.done)\n\tm.registry.publish(m.txn.ledger)\n\tm.txn.settle()\n\tm.applied.reach(m.txn.globals.Applied)",
			"\tm.applied.reach(m.txn.globals.Applied)\n\tm.heads.publish(changed, m.txn.done)\n\tm.registry.publish(m.txn.ledger)\n\tm.txn.settle()"}},
		caught: []catcher{inUnit("fsm", "TestWhatCountsAsAppliedCanBeRead").within(3)},
	},
	{
		name:   "replayed entries applied again",
		breaks: "what was applied before a restart is stored twice after it",
		edits:  []edit{{"fsm/machine.go", "if l.Index <= m.txn.globals.Applied {", "if l.Index == 0 {"}},
		caught: []catcher{inUnit("fsm", "TestReplayedEntriesAreNotAppliedTwice"), inChaos("TestKillsAndFreezesLoseNothing", "1")},
	},
	{
		name:   "the writer keeps its cache over a restore",
		breaks: "a refilled replica decides by what it knew before",
		edits:  []edit{{"fsm/snapshot.go", "\tm.txn = txn\n", "\tm.txn.globals = txn.globals\n"}},
		caught: []catcher{inUnit("fsm", "TestSnapshotTravelsToAnotherNode")},
	},
}
