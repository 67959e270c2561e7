package mutants

var ofStorage = []mutant{
	{
		name:   "fsync of the log skipped",
		breaks: "acknowledged appends vanish with the power of a majority",
		edits:  []edit{{"storage/walfiles.go", "if err := f.WritableFile.Sync(); err != nil {", "if err := error(nil); err != nil {"}},
		caught: []catcher{inBattery("TestNoAnswerBeforeAnFsyncOnAQuorumOfThree"), inChaos("TestPowerCutsLoseNothing", "1")},
	},
	{
		name:   "failed fsync taken for done",
		breaks: "the same, after one error of a disk",
		edits: []edit{{"storage/walfiles.go", "return f.owner.fail(fmt.Errorf(\"fsync raft log segment %s: %w\", f.name, err))",
			"_ = fmt.Sprint(f.name, err)\n\t\treturn nil"}},
		caught: []catcher{inUnit("storage", "TestLogTakesNothingAfterFailedFsync")},
	},
	{
		name:   "applied index outside the batch",
		breaks: "after a power cut the copy says that it holds what it does not",
		edits: []edit{{"storage/batch.go", "\tb.put(b.end)\n\tif b.home != e.current.Load() {",
			"\tb.open()\n\tmust(b.home.db.Set(b.key, b.end, pebble.NoSync))\n\tif b.home != e.current.Load() {"}},
		caught: []catcher{inUnit("storage", "TestPowerCutLeavesPrefixWithItsGlobals")},
	},
	{
		name:   "bodies never synced at a snapshot",
		breaks: "a snapshot, and then the log before it, promise data that only memory has",
		edits: []edit{{"storage/durable.go", "\tif err := c.flush(); err != nil {\n\t\treturn err\n\t}\n\tif err := c.db.Checkpoint",
			"\tif err := c.db.Checkpoint"}},
		caught: []catcher{inUnit("storage", "TestReplaceCrashLeavesOldOrNew"), inUnit("test/sim", "TestAnAbsentNodeIsFilledFromASnapshot")},
	},
	{
		name:   "small files renamed before they are synced",
		breaks: "who the node is, and which snapshot is whole, may be empty files after a power cut",
		edits:  []edit{{"storage/files.go", "if err := f.Sync(); err != nil {", "if err := error(nil); err != nil {"}},
		caught: []catcher{inUnit("storage", "TestSealedFileIsOldOrNewAfterCrash"), inUnit("storage", "TestSnapshotCrashLeavesCompleteOnes")},
	},
	{
		name:   "checksums of log records not compared",
		breaks: "a flipped bit in the log is applied",
		edits:  []edit{{"storage/record.go", "; crc != h.crc {", "; crc != crc {"}},
		caught: []catcher{inUnit("storage", "TestLogDetectsFlipsAndTruncations")},
	},
	{
		name:   "lost vote taken for none",
		breaks: "a node that has lost its term and vote votes again",
		edits:  []edit{{"storage/stable.go", "if !found && cfg.MustExist {", "if !found && cfg.MustExist && false {"}},
		caught: []catcher{inUnit("storage", "TestStableIsNotMadeAnewOnNodeThatHadOne")},
	},
}
