// Package mutants breaks the product on purpose, one small edit at a time, and
// shows that the battery notices. The product knows nothing of it: an edit is
// laid over the sources by the go tool (-overlay), in the build of a test or of
// the program. make mutants runs them and writes the table in
// docs/reliability.md; go test checks that each still applies and compiles.
package mutants
