// Package peertls secures the connections between nodes: TLS with certificates
// on both ends, on the one port that they have for each other, beside plain
// connections while a cluster changes over.
//
//	cluster ── Dial, Listen ──▶ Guard.Around ── TLS, or plain ──▶ network
//	   └───── Proves(id, hosts) ◀── connection
//
// Who a certificate's owner must be is asked by the caller, once the other end
// has said who it is; until then nothing of a connection may be believed.
//
// It does not know what is said on a connection, nor who is a member.
package peertls
