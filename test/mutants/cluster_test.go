package mutants

var ofCluster = []mutant{
	{
		name:   "acknowledged before it is committed",
		breaks: "a leader counts an entry as stored by who was only sent it; its death loses the append",
		edits: []edit{
			{"cluster/follow.go", "if p.newest == nil || first.Term", "if len(e.entries) > 0 || p.newest == nil || first.Term"}, // nothing is sent early
			{"cluster/follow.go", "\treturn p.AppendPipeline.AppendEntries(q, a)\n",
				"\tf, err := p.AppendPipeline.AppendEntries(q, a)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\ta.Success, a.Term = true, q.Term\n" +
					"\tselect {\n\tcase p.answers <- f:\n\tcase <-p.done:\n\t}\n\treturn f, nil\n"},
			{"cluster/follow.go", "\t\tp.ready = append(p.ready, f)\n\t\treturn true\n", "\t\treturn true\n"},
		},
		caught: []catcher{inUnit("test/sim", "TestPromisesHoldUnderRandomFaults").seeded("1")},
	},
	{
		name:   "stored early because it was sent early",
		breaks: "the same, of what a leader sends while it writes it to its own disk",
		edits: []edit{{"cluster/follow.go", "\tif end.response != nil {\n",
			"\tif f.response == nil {\n\t\tf.response = &raft.AppendEntriesResponse{Term: q.Term, Success: true}\n\t}\n\tif end.response == nil {\n"}},
		caught: []catcher{inUnit("cluster", "TestEntriesAreSentWhileTheyAreStored")},
	},
	{
		name:   "fence skipped",
		breaks: "a read misses what was acknowledged before it began",
		edits:  []edit{{"cluster/fence.go", "index, err := n.fences.ask(ctx)\n\t\tif err == nil {", "index, err := uint64(0), error(nil)\n\t\tif err == nil {"}},
		caught: []catcher{inUnit("cluster", "TestFenceSeesWhatWasAcknowledged"), inUnit("test/sim", "TestReadsSeeWhatWasAcknowledgedBefore"), inBattery("TestReadYourWritesThroughEveryNode")},
	},
	{
		name:   "fence without a round to a quorum",
		breaks: "a leader that was replaced without knowing it answers with old data",
		edits:  []edit{{"cluster/fence.go", "if err := s.raft.VerifyLeader().Error(); err != nil {", "if err := error(nil); err != nil {"}},
		caught: []catcher{inUnit("cluster", "TestFenceFailsOnCutLeader")},
	},
	{
		name:   "every leader takes itself for the quorum",
		breaks: "a leader that was replaced without knowing it answers with old data",
		edits: []edit{
			{"cluster/fence.go", "if s == nil || !s.single.Load() {", "if s == nil {"},
			{"cluster/fence.go", "if err != nil || !s.alone(n.cfg.NodeID) {", "if err != nil {"},
		},
		caught: []catcher{inUnit("cluster", "TestFenceFailsOnCutLeader")},
	},
	{
		name:   "fence round shared with who came too late",
		breaks: "a read is covered by an index that was taken before it began",
		edits:  []edit{{"cluster/fence.go", "\t\tf.next = nil\n\t\tif r == nil {", "\t\tif r != nil && r.index != 0 {\n\t\t\tr, f.next = nil, nil\n\t\t}\n\t\tif r == nil {"}},
		caught: []catcher{inUnit("cluster", "TestFenceRoundServesOnlyThoseWhoAskedBefore")},
	},
	{
		name:   "a new leader does not wait for its barrier",
		breaks: "a new leader answers fences from before its time",
		edits:  []edit{{"cluster/lead.go", "err := s.raft.Barrier(0).Error()", "err := error(nil)"}},
		caught: []catcher{inUnit("cluster", "TestANewLeaderGivesNoFenceFromBeforeItsTime")},
	},
	{
		name:   "hint with the current term",
		breaks: "a node that led claims the leadership of another, and with it what is committed",
		edits: []edit{{"cluster/hint.go", "if led, ok := s.leads(); !ok || led != h.Term {\n\t\t\treturn true, nil // stepped",
			"if h.Term = s.raft.CurrentTerm(); h.Term == 0 {\n\t\t\treturn true, nil // stepped"}},
		caught: []catcher{inUnit("cluster", "TestNoHintAfterSteppingDown")},
	},
	{
		name:   "a second proposal in a new place",
		breaks: "an append that rode over a failover is stored twice",
		edits:  []edit{{"cluster/session.go", "\t\tb.doubt = err\n", "\t\tn.session.release(b)\n"}},
		caught: []catcher{inUnit("cluster", "TestABatchWhoseAnswerWasLostIsCarriedOutOnce")},
	},
	{
		name:   "wiped voter votes",
		breaks: "an empty node helps to elect a leader that lacks acknowledged appends",
		edits: []edit{{"cluster/join.go", "\t\tremoval := s.raft.RemoveServer(old.ID, index, changeTimeout)\n",
			"\t\tif old.Suffrage == raft.Voter {\n\t\t\treturn joinReply{ClusterID: clusterID}, nil\n\t\t}\n\t\tremoval := s.raft.RemoveServer(old.ID, index, changeTimeout)\n"}},
		caught: []catcher{inUnit("cluster", "TestWipedVoterReturnsWithoutVote")},
	},
	{
		name:   "removed node comes back with its data",
		breaks: "a node that was taken out takes part again",
		edits:  []edit{{"cluster/members.go", "stranger = n.isStranger(s, theirs.NodeID)", "stranger = false"}},
		caught: []catcher{inUnit("cluster", "TestRemovedNodeDoesNotComeBackWithItsData")},
	},
	{
		name:   "a hung disk keeps its leader",
		breaks: "nothing is written while the disk of one node hangs",
		edits:  []edit{{"cluster/hung.go", "return began != 0 &&", "return began < 0 &&"}},
		caught: []catcher{inUnit("cluster", "TestALeaderWhoseDiskHangsIsReplaced")},
	},
}
