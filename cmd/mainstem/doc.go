// Command mainstem runs a node of a clustered, replicated store of append-only
// streams that speaks the Durable Streams protocol.
//
// This package is the node: wiring, ports, who may use them, signals, and the root
// of the command line, under which package cli puts what people type. Nothing
// imports it; it decides no rule of the protocol, keeps no data and speaks to no
// peer by itself.
package main
