// Package httpapi speaks the protocol over HTTP with echo: parse, ask once,
// render. One file per verb.
//
// It does not know raft, files, or how nodes agree. It asks four small
// interfaces (Writer, Fencer, Reader, Cluster) and turns what they say into
// statuses and headers, in one table.
//
// An error of a Writer is read by its behaviour, since this package may not
// import who made it:
//
//   - an error with the method OutcomeUnknown() bool that returns true means
//     that the command may or may not have been carried out: 503, Retry-After,
//     and a detail with the words "outcome unknown";
//   - one with the method InsufficientStorage() bool that returns true means that
//     nothing was written for want of disk space: 507 and Retry-After;
//   - one with the method UpgradeUnfinished() bool that returns true means that
//     nothing was written because a member's version does not know what was asked
//     for: 503 and Retry-After;
//   - any other error, unless the client has left, means that nothing was
//     written: 503 and Retry-After.
//
// An error of a Fencer means that nobody can tell what is current; consistency.go
// says which answers are given nevertheless. An error of a Reader that is no
// *stream.Rejection means that this node is broken: 500.
package httpapi
