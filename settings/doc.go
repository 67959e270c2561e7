// Package settings is what an operator may say to a node, in one table: how it is
// written in files, in the environment and as flags, what it may be, and what the
// parts of it have to do with each other.
//
// It starts nothing, and opens no file but those that settings are read from.
package settings
