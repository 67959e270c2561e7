// Package recovery is what an operator does to the data directories of stopped
// nodes: look at them, make a new cluster of what survived the loss of a
// majority, and set a damaged node's data aside so that it is refilled.
//
//	Look       ──▶ Facts        one directory, read to the last byte, unchanged
//	MakePlan   ──▶ Plan         who holds what, who can lead, what may be lost
//	Plan.Apply ──▶ directory    on each machine, the same plan
//	Refill     ──▶ directory    a node without data, of the same cluster
//
// Nothing is deleted: what a node is not to use any more is moved aside, within
// its data directory. Each change is in a journal before it begins, so that a
// crash leaves the old state, or one that refuses to start until the same
// command has completed it.
//
// It does not know a running node, nor a command line.
package recovery
