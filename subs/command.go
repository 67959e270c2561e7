package subs

import "mainstem/stream"

// Command is what enters the log about subscriptions.
type Command interface{ kind() commandKind }

// Create asks for a subscription to exist with a configuration (§6.2).
type Create struct {
	ID     ID
	Config Config // normalised
	Base   string // the stream root as the client reached it
}

// Delete asks for a subscription to be removed (§6.3).
type Delete struct{ ID ID }

// AddStreams links streams by name (§6.4).
type AddStreams struct {
	ID      ID
	Streams []stream.Name
}

// RemoveStream takes such a link back (§6.4).
type RemoveStream struct {
	ID     ID
	Stream stream.Name
}

// Claim asks for the lease of a pull-wake subscription (§7.2).
type Claim struct {
	ID     ID
	Worker string
	WakeID string // of the wake that begins if none is in flight
}

// Cursor is one acknowledgement: all up to the offset is processed.
type Cursor struct {
	Stream stream.Name
	Offset stream.Offset
}

// Ack moves cursors, and extends the lease or ends the wake (§7.1, §7.2).
type Ack struct {
	Number     uint64
	Via        Kind   `json:",omitempty"` // whose endpoint was called; 0 for a delivery
	Token      uint64 `json:",omitempty"` // the generation that the token was made for
	Generation uint64
	WakeID     string
	Acks       []Cursor `json:",omitempty"`
	Done       bool     `json:",omitempty"`
	Delivery   bool     `json:",omitempty"` // a webhook's own answer: cursors that no longer fit are passed over
}

// Release gives a claim back (§7.2).
type Release struct {
	Number     uint64
	Token      uint64
	Generation uint64
	WakeID     string
}

// Wake begins the wake that is due.
type Wake struct {
	Number uint64
	WakeID string
	Jitter int `json:",omitempty"` // thousandths, of the pause if the wake cannot be announced
}

// Attempt is proposed before a wake is sent again.
type Attempt struct {
	Number     uint64
	Generation uint64
	WakeID     string
}

// Delivered says that a webhook took a wake without finishing it.
type Delivered struct {
	Number     uint64
	Generation uint64
	WakeID     string
}

// DeliveryFailed says that it did not.
type DeliveryFailed struct {
	Number     uint64
	Generation uint64
	WakeID     string
	Jitter     int `json:",omitempty"` // thousandths
}

// Lapse asks whether a lease is over, and ends it if so.
type Lapse struct {
	Number     uint64
	Generation uint64
	Jitter     int `json:",omitempty"` // thousandths
}

// Step asks for a bounded part of what a creation or a deletion has left to do.
type Step struct{ Number uint64 }

// PutKey adds a signing key: the first one, or in place of the active one.
type PutKey struct {
	Key    Key
	Rotate bool `json:",omitempty"`
}

// commandKind is the second byte of an encoded command. Append only, never
// reorder.
type commandKind uint8

const (
	_ commandKind = iota
	kindCreate
	kindDelete
	kindAddStreams
	kindRemoveStream
	kindClaim
	kindAck
	kindRelease
	kindWake
	kindAttempt
	kindDelivered
	kindDeliveryFailed
	kindLapse
	kindStep
	kindPutKey
)

func (Create) kind() commandKind         { return kindCreate }
func (Delete) kind() commandKind         { return kindDelete }
func (AddStreams) kind() commandKind     { return kindAddStreams }
func (RemoveStream) kind() commandKind   { return kindRemoveStream }
func (Claim) kind() commandKind          { return kindClaim }
func (Ack) kind() commandKind            { return kindAck }
func (Release) kind() commandKind        { return kindRelease }
func (Wake) kind() commandKind           { return kindWake }
func (Attempt) kind() commandKind        { return kindAttempt }
func (Delivered) kind() commandKind      { return kindDelivered }
func (DeliveryFailed) kind() commandKind { return kindDeliveryFailed }
func (Lapse) kind() commandKind          { return kindLapse }
func (Step) kind() commandKind           { return kindStep }
func (PutKey) kind() commandKind         { return kindPutKey }

// Outcome is the rules saying yes.
type Outcome struct {
	Number     uint64 `json:",omitempty"`
	Generation uint64 `json:",omitempty"`
	WakeID     string `json:",omitempty"`
	Created    bool   `json:",omitempty"` // not one that already matched
	Woke       bool   `json:",omitempty"` // a wake has begun
	Pending    bool   `json:",omitempty"` // there is work for another wake
	More       bool   `json:",omitempty"` // steps are left
	Kid        string `json:",omitempty"` // of the active key
}

// Result is an Outcome, or the Refusal in its place.
type Result struct {
	Outcome Outcome
	Refusal *Refusal `json:",omitempty"`
}
