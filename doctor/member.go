package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"mainstem/cluster"
	"mainstem/peertls"
)

// When a certificate is too near to its end, as the alerts have it.
const (
	certificateWarn = 14 * 24 * time.Hour
	certificateBad  = 2 * 24 * time.Hour

	fsyncSamplesMin = 100 // below it a share of a hundredth says nothing
)

// memberChecks are about each member by itself.
func memberChecks(tokenVariable string) []check {
	return []check{
		{name: "settings", fine: "every member that answers tells its settings", look: lookSettings,
			why: "bootstrap-expect and encryption could not be looked at",
			do:  "run this on the node's machine, or set " + tokenVariable + " to a token with the right to admin"},
		{name: "disk", fine: "no disk is filling up", look: lookDisks,
			why: "when one voter's disk is full the whole cluster takes no data",
			do:  "free or add space on the disk of its data directory: docs/runbooks/DiskWatermark.md"},
		{name: "damage", fine: "no damage is known", look: lookDamage,
			why: "a damaged copy is not read, and counts as lost when the next one fails",
			do:  "see what its log names; to fill it anew: mainstem recover refill, and docs/runbooks/CorruptionDetected.md"},
		{name: "fsync", fine: "the logs are kept fast enough", look: lookFsync,
			why: "an append waits for two of these writes, and a slow one looks like a dead leader",
			do:  "use a local SSD or a volume with more operations per second; mainstem fsync-test DIRECTORY measures one"},
		{name: "certificates", fine: "no certificate ends soon", look: lookCertificates,
			why: "with an ended certificate clients, or other nodes, are cut off",
			do:  "renew it and write the new files in place of the old: they are read again by themselves"},
		{name: "peer encryption", fine: "nothing between nodes crosses a network in plain", look: lookPeerTLS,
			why: "who is on that network can read all streams, or join in the log",
			do:  "set cluster.tls.mode to required, by way of permissive: docs/security.md"},
		{name: "gossip encryption", fine: "no gossip crosses a network in plain", look: lookGossip,
			why: "who is on that network can tell nodes of members that are none",
			do:  "set cluster.gossip_encryption to required, by way of accept and send: docs/security.md"},
	}
}

func lookSettings(x Examination) (spots []spot) {
	for _, e := range x.answering() {
		if e.SettingsErr != nil {
			spots = append(spots, spot{Warn, e.ID, fmt.Sprintf("%s does not tell its settings: %v", e.ID, e.SettingsErr)})
		}
	}
	return spots
}

func lookDisks(x Examination) (spots []spot) {
	for _, m := range x.each() {
		level := map[cluster.DiskLevel]Level{cluster.DiskLow: Warn, cluster.DiskFull: Bad}[m.Disk.Level]
		if level != "" {
			spots = append(spots, spot{level, m.NodeID, fmt.Sprintf("the disk of %s: %v", m.NodeID, m.Disk)})
		}
	}
	return spots
}

func lookDamage(x Examination) (spots []spot) {
	for _, m := range x.each() {
		if m.Damage != "" {
			spots = append(spots, spot{Bad, m.NodeID, fmt.Sprintf("the copy of %s is damaged: %s", m.NodeID, m.Damage)})
		}
	}
	for _, e := range x.answering() {
		if n, _ := e.Metrics.gauge("mainstem_corruption_total"); n > 0 {
			spots = append(spots, spot{Warn, e.ID, fmt.Sprintf("%s found %v damaged records, files or blocks since it started", e.ID, n)})
		}
		if n, _ := e.Metrics.gauge("mainstem_scrub_mismatch_total"); n > 0 {
			spots = append(spots, spot{Warn, e.ID, fmt.Sprintf("%s saw replicas differ in %v parts since it started", e.ID, n)})
		}
	}
	return spots
}

func lookFsync(x Examination) (spots []spot) {
	for _, e := range x.answering() {
		bound, count := e.Metrics.within(0.99, "mainstem_fsync_seconds", "store", "log")
		took := time.Duration(min(bound, FsyncWorst.Seconds()) * float64(time.Second))
		if count < fsyncSamplesMin || took <= fsyncGood {
			continue
		}
		l := Warn
		if took > fsyncBad {
			l = Bad
		}
		spots = append(spots, spot{l, e.ID, fmt.Sprintf("one of a hundred writes of the log of %s took up to %s, or more", e.ID, took)})
	}
	return spots
}

func lookCertificates(x Examination) (spots []spot) {
	for _, e := range x.answering() {
		ends := e.Metrics.byLabel("mainstem_certificate_expiry_timestamp_seconds", "use")
		for _, use := range slices.Sorted(maps.Keys(ends)) {
			at := time.Unix(int64(ends[use]), 0).UTC()
			left, l := at.Sub(x.At), Warn
			if left > certificateWarn {
				continue
			}
			if left <= certificateBad {
				l = Bad
			}
			what := fmt.Sprintf("the certificate that %s shows to %s ends at %s", e.ID, use, at.Format(time.RFC3339))
			if left <= 0 {
				what = fmt.Sprintf("the certificate that %s shows to %s ended at %s", e.ID, use, at.Format(time.RFC3339))
			}
			spots = append(spots, spot{l, e.ID, what})
		}
	}
	return spots
}

func lookPeerTLS(x Examination) []spot {
	return lookPlain(x, "cluster.tls.mode", string(peertls.Required), "cluster.peer_address", "connections between nodes")
}

func lookGossip(x Examination) []spot {
	return lookPlain(x, "cluster.gossip_encryption", string(cluster.EncryptionRequired), "cluster.gossip_address", "gossip")
}

// lookPlain looks for members that take unencrypted traffic at an address that
// others than this machine can reach. One that was set up alone has none.
func lookPlain(x Examination, mode, wanted, address, what string) (spots []spot) {
	for _, e := range x.answering() {
		at := e.Settings[address]
		if e.Settings[mode] == wanted || at == "" || onLoopback(at) {
			continue
		}
		spots = append(spots, spot{Warn, e.ID, fmt.Sprintf("%s takes %s in plain at %s (%s = %s)", e.ID, what, at, mode, cmp.Or(e.Settings[mode], "(none)"))})
	}
	return spots
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
