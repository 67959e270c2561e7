// Package embed is one node of Mainstem inside another Go program: a handler of
// the protocol over a directory, or over memory, to mount in a server of its own.
//
// It wires storage, fsm, cluster and httpapi as the command does, for one node
// that nobody joins. What operators of a server need it does not have: no
// subscriptions, no scrub, no watch over the free space of the disk; the command
// has those. It does not know the command line, nor the network.
package embed
