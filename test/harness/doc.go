// Package harness starts, stops, kills and freezes Mainstem nodes as processes
// on loopback, and speaks the stream protocol to them as a plain client. It does
// not know what a test is about, nor anything of the product's code.
package harness
