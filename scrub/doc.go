// Package scrub finds out that a node's data is not what was written, before
// somebody reads it, and keeps such a node from being read.
//
// It does not know how entries come to be committed, HTTP, or what a stream is.
//
//	Verify   each node by itself, file by file      ── damaged ─▶ Quarantine
//	Lead     a mark in the log, one part at a time
//	            └▶ Marked ─▶ digest ─▶ Note ─▶ judge ── odd ────▶ Quarantine
//
// All replicas are equal at an equal index of the log, and a mark is such an
// index: each replica takes its copy as it is there, digests one part of it
// slowly, and tells the others the result. Each compares for itself. When a
// majority of the voters agrees, a node that differs knows that it is wrong.
package scrub
