// Package fresh keeps what was read from files up to date: it reads them again
// every so often and hands their content on when it has changed.
//
// It does not know what the files mean, nor who uses it: whoever takes the
// content judges it, and what is refused leaves in use what was taken before.
package fresh
