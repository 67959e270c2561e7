// Package client speaks the Durable Streams protocol to any server of it: it
// creates, appends, reads, follows, closes, forks and deletes streams.
//
// What may be asked twice is asked again, with the server's Retry-After or a
// growing pause, for as long as Config.Patience: reads always, creations and
// deletions since they name an end and not a step, and appends when they carry
// producer headers or when the server says that nothing was written. An append
// whose outcome is unknown is never sent again; its error says so.
//
// It does not know what server it talks to, nor the command line that uses it.
package client
