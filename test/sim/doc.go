// Package sim runs whole clusters of the product in one process and in virtual
// time, breaks them, and judges what their clients saw.
//
// A node is the real thing from the HTTP handler down to the raft log on a disk;
// only the network, the clock, discovery and the disk of the copy are models.
// Everything is to be started inside a testing/synctest bubble.
//
// It does not know how a node does its work: it sees requests and answers.
package sim
