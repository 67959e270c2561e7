// Package cli is the commands that a person types: about streams, a cluster, its
// backups, the disks of stopped nodes, and what is wrong.
//
//	stream, export, import, list         ──▶ client      any server of the protocol
//	cluster, subscriptions, health       ──▶ operator    what a node answers operators
//	backup create, list, verify, restore ──▶ backup, objects
//	doctor, debug bundle                 ──▶ doctor      all members, asked at once
//	recover                              ──▶ recovery    data directories of stopped nodes
//	fsync-test, bench, config, auth          nothing that runs, or any server
//
// Each command is a type with its flags and what it writes to, a function that
// makes its cobra command, and its steps. Run turns what they end with into
// sentences on standard error and exit codes for scripts.
//
// It does not know how a node is put together: it asks one from outside, as
// anybody could.
package cli
