// Package fsm applies committed commands to this node's durable copy, in
// batches, and lets readers watch the copy grow.
//
// It does not know who leads, how entries come to be committed, or HTTP.
//
//	raft ──▶ Machine.ApplyBatch ──▶ txn: decode, stream.Decide, collect
//	                                 └──▶ storage.Commit ──▶ heads: publish, ring
//	readers ──▶ Info, Read, Follow ◀── heads, their tails, and storage
package fsm
