// Package cluster makes nodes into one log: gossip, bootstrap, membership, a
// batching proposer, one hop to the leader, fences and commit hints.
//
// It does not know what a command means, nor where bytes lie, nor HTTP. It
// drives a Machine and three raft stores that its caller opened, over a Network
// and a Discovery that its caller chose, so that a whole cluster can run in one
// process and in virtual time.
package cluster
