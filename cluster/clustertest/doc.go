// Package clustertest runs whole clusters in one process, for tests: real nodes
// and real raft over a network in memory that can be cut and healed. All of it
// runs in virtual time when it is started inside testing/synctest.
//
// It does not know what a machine does; a Counter is there for tests that need
// none of their own.
package clustertest
