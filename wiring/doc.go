// Package wiring holds the adapters by which a node's parts, which do not know
// each other, are joined: the same ones in the command, in package embed, and in
// the simulation.
//
// It decides nothing, and opens nothing.
package wiring
