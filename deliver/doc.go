// Package deliver wakes workers: on the leader it carries out what subscriptions
// are owed, and on every node it signs, seals and checks.
//
//	subs.Subscription.Next ──▶ Lead ──▶ a command: Wake, Attempt, Lapse, Step
//	                             │             │ what the log decided
//	                             │             ▼
//	                             └─────▶  one request per attempt, through the guard
//	                                           │
//	                                           ▼
//	                           a command: Delivered, DeliveryFailed, Ack
//
// It holds no state of its own that matters: schedule, generation and keys are in
// the replicated log, which judges each result by number, generation and wake id. A
// leader that is deposed sends nothing more, and what it learns late is refused.
//
// It does not know the rules of a subscription, raft, files, nor who calls it over
// HTTP.
package deliver
