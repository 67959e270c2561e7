// Package backup keeps copies of a cluster's state outside of it, and reads them
// again: whole, or stream by stream.
//
// It does not know HTTP, raft or where objects are stored: a Source hands out a
// node's copy, and a Bucket keeps objects. A backup is
//
//	<id>/records-000001   records of streams, in the order of their keys
//	<id>/state-000001     all other pairs of the copy, likewise
//	<id>/held-000001      which records the copy held, of every incarnation
//	<id>/manifest.json    written last: without it there is no backup
//
// Records never change, so that a backup with a base holds only those that the
// base and its own bases do not. State and held are complete in each. Objects
// are compressed, and the manifest has the SHA-256 of each, and of the base's
// manifest.
//
//	node ──frames──▶ Create ──objects──▶ Bucket ──▶ Chain.Walk ──pairs──▶ a copy
//	                                       └──────▶ Chain.Read ──appends─▶ a stream
package backup
