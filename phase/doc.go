// Package phase names the step of a start, or of a command, in which it failed, and
// writes errors for people.
package phase
