package mutants

var ofRules = []mutant{
	{
		name:   "fork reference leaked",
		breaks: "a deleted stream whose forks are gone is never collected, and its name never free",
		edits:  []edit{{"stream/decide.go", "if source.Refs--; source.Refs", "if source.Refs"}},
		caught: []catcher{inUnit("stream", "TestCollectionCascadesUpTheChain"), inUnit("stream", "TestRulesAgreeWithANaiveModel")},
	},
	{
		name:   "refused fork takes a reference",
		breaks: "the same, by a request that was answered 4xx",
		edits: []edit{{"stream/decide_create.go", "\tpos, no := d.divergence(c.Fork, source)\n",
			"\tkept := *source\n\tkept.Refs++\n\td.put(c.Fork.Source, kept)\n\tpos, no := d.divergence(c.Fork, source)\n"}},
		caught: []catcher{inUnit("stream", "TestARefusedForkLeaksNoReference")},
	},
	{
		name:   "duplicate check after Stream-Seq",
		breaks: "a producer's retry is answered 409 instead of as a repeat",
		edits: []edit{{"stream/decide_append.go", "\tif c.Producer != nil {\n\t\tlast, known",
			"\tif c.Seq != \"\" && c.Seq <= s.Seq {\n\t\treturn Outcome{}, &Rejection{Code: SeqConflict}\n\t}\n\tif c.Producer != nil {\n\t\tlast, known"}},
		caught: []catcher{inUnit("stream", "TestAppendPrecedence")},
	},
	{
		name:   "fenced epoch still writes",
		breaks: "a producer that was replaced goes on writing",
		edits:  []edit{{"stream/producer.go", "case p.Epoch < last.Epoch:", "case p.Epoch < last.Epoch && false:"}},
		caught: []catcher{inUnit("stream", "TestProducerRows"), inBattery("TestKillOfASingleNodeLosesNothing")},
	},
	{
		name:   "closed flag lost by a restart",
		breaks: "a closed stream takes appends again",
		edits:  []edit{{"stream/state_codec.go", "\tif s.Closed {\n\t\tf |= stateClosed\n\t}\n", ""}},
		caught: []catcher{inUnit("stream", "TestStateBytesAreGolden"), inChaos("TestKillsAndFreezesLoseNothing", "1")},
	},
	{
		name:   "offsets given a second time",
		breaks: "a stream that is deleted and made again has the offsets of the first",
		edits:  []edit{{"stream/decide_create.go", "\td.change.Drawn = s.Incarnation\n", ""}},
		caught: []catcher{inUnit("stream", "TestOffsetsGrowOverRecreations"), inBattery("TestReadYourWritesThroughEveryNode")},
	},
}
