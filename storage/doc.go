// Package storage is one node's durable copy of the replicated state: its keys,
// reads, commits, checkpoints and recovery; and beside it the raft log, stable,
// identity and snapshot stores.
//
// It does not know what may be appended, who leads, or HTTP. The copy keeps no
// write-ahead log of its own: the raft log is that, and what a commit covers is
// written in the same batch as the data (Globals). Nothing here deletes data by
// inference: what cannot be read is named (ErrCorrupt) and left as it is.
//
//	<data>/lock          one process at a time       lock.go
//	<data>/node.json     who this node is            identity.go
//	<data>/stable.db     term and vote               stable.go
//	<data>/log/          the raft log                log.go
//	<data>/copy/         the copy                    engine.go
//	<data>/snapshots/    checkpoints of the copy     snapshots.go
//	<data>/ballast       space held back             space.go
//	<data>/DAMAGED       what was found wrong        marker.go
//	<data>/recovery.json a repair that is under way  journal.go
//	<data>/backup.json   the last backup of the copy lastbackup.go
//
// Inspect looks at a stopped node's directory and writes nothing.
package storage
