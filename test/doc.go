// Package test is the end-to-end battery: it drives bin/mainstem as real
// processes over real sockets and disks, and knows only what a client, an
// operator and the kernel can see of it. It runs when MAINSTEM_BATTERY is set
// (make battery).
package test
