// Command raftstores appends to etcd and to NATS JetStream, which do not speak the
// protocol, in the way that mainstem bench appends to servers that do: each writer
// sends its next message when the last is acknowledged, and all is counted at the
// end. It prints one result as JSON.
//
// It is a module of its own, so that the clients of others are no dependency of
// Mainstem.
package main
