package mutants

var ofHTTP = []mutant{
	{
		name:   "expiry by local clock",
		breaks: "a node whose clock is ahead answers 404 for a stream that lives",
		edits:  []edit{{"httpapi/renew.go", "_, err := s.submit(try, stream.Expire{Name: name})\n\tvar no", "err := error(&stream.Rejection{Code: stream.NotFound})\n\t_ = try\n\tvar no"}},
		caught: []catcher{inUnit("httpapi", "TestNoNodeDecidesExpiryByItsClock"), inUnit("test/sim", "TestReadsKeepAStreamAliveWhateverTheClocksSay")},
	},
	{
		name:   "late 204 without a look",
		breaks: "a long-poll says that its reader is up to date when it is not",
		edits:  []edit{{"httpapi/longpoll.go", "return s.lastLook(ctx, v, q, chunk)", "return chunk, nil"}},
		caught: []catcher{inUnit("httpapi", "TestALate204IsTrue")},
	},
	{
		name:   "old answer claims to be current",
		breaks: "without a leader a read says Stream-Up-To-Date of what may be old",
		edits:  []edit{{"httpapi/consistency.go", "\tv.stale = true\n", ""}},
		caught: []catcher{inUnit("httpapi", "TestWithoutLeader"), inUnit("test/sim", "TestANodeThatIsCutOffNeverClaimsToBeCurrent")},
	},
	{
		name:   "event names the tail as its offset",
		breaks: "a live reader that reconnects while it catches up misses what lay between",
		edits:  []edit{{"httpapi/frame.go", "return appendControl(b, chunk.Next, cursor", "return appendControl(b, chunk.Tail, cursor"}},
		caught: []catcher{inUnit("httpapi", "TestSSECatchesUpInChunksAndGoesLive")},
	},
}
