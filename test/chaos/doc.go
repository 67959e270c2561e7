// Package chaos breaks real clusters under load (killed and frozen processes,
// disks without power or space, slow, damaged and old ones, networks that part or
// carry packets late) and judges what clients saw. It
// knows the protocol, and of the product no more than its command line, the form
// of an offset, and the words of a 503; see history_test.go for what a run leaves.
package chaos
