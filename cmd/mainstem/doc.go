// Command mainstem runs a node of a clustered, replicated store of append-only
// streams that speaks the Durable Streams protocol.
//
// This package is configuration, wiring, signals and the command line. It knows
// every other package and nothing imports it; it decides no rule of the
// protocol, keeps no data and speaks to no peer by itself.
package main
