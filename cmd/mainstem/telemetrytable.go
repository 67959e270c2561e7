package main

import "github.com/prometheus/client_golang/prometheus"

// figure is one thing that raft or memberlist measures, and how it is shown.
type figure struct {
	key, name, help string
	kind            figureKind
	labels          prometheus.Labels // fixed; for those that share a name
	scale           float64           // 1 when not given
	buckets         []float64         // from 50 µs to 7.5 s when not given
}

type figureKind uint8

const (
	counts   figureKind = iota
	shows               // a gauge
	measures            // a histogram
	perMember
)

// cell makes what is told, and what is registered.
func (f figure) cell() (cell, prometheus.Collector) {
	c := cell{scale: f.scale}
	if c.scale == 0 {
		c.scale = 1
	}
	histogram := prometheus.HistogramOpts{Name: f.name, Help: f.help, ConstLabels: f.labels, Buckets: f.buckets}
	if histogram.Buckets == nil {
		histogram.Buckets = prometheus.ExponentialBuckets(50e-6, 2.5, 14)
	}
	switch f.kind {
	case counts:
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: f.name, Help: f.help, ConstLabels: f.labels})
		c.counter = counter
		return c, counter
	case shows:
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: f.name, Help: f.help, ConstLabels: f.labels})
		c.gauge = gauge
		return c, gauge
	case perMember:
		vec := prometheus.NewHistogramVec(histogram, []string{"member"})
		c.byMember = vec
		return c, vec
	}
	h := prometheus.NewHistogram(histogram)
	c.observer = h
	return c, h
}

// telemetryTable is what is shown of raft and of memberlist. Raft's own times are
// in seconds here, but for those that it converts itself.
func telemetryTable() []figure {
	label := func(name, value string) prometheus.Labels { return prometheus.Labels{name: value} }
	long := prometheus.ExponentialBuckets(1e-3, 4, 11) // 1 ms to 17 min
	const (
		states   = "mainstem_raft_state_changes_total"
		statesIs = "Times this node became what the label says."
		waits    = "mainstem_raft_timeouts_total"
		waitsIs  = "Times raft gave up waiting: a follower for heartbeats, a leader for a quorum of its followers."
		messages = "mainstem_gossip_messages_total"
		tellsIs  = "Messages about members that gossip was told, by what they say."
		sent     = "mainstem_gossip_sent_bytes_total"
		sentIs   = "Bytes that gossip sent, by transport."
		conns    = "mainstem_gossip_connections_total"
		connsIs  = "Connections of gossip, by who made them."
		slow     = "mainstem_gossip_degraded_total"
		slowIs   = "Times gossip found this node too slow for it, by what was late."
	)
	return []figure{
		{key: "raft.apply", name: "mainstem_raft_proposals_total", help: "Entries that were proposed on this node while it led."},
		{key: "raft.barrier", name: "mainstem_raft_barriers_total", help: "Barriers that this node put into the log while it led."},
		{key: "raft.verify_leader", name: "mainstem_raft_leader_verifications_total", help: "Rounds in which this node asked a quorum whether it still leads."},
		{key: "raft.restore", name: "mainstem_raft_restores_total", help: "Times the copy was replaced by a snapshot at an operator's wish."},
		{key: "raft.state.follower", name: states, help: statesIs, labels: label("state", "follower")},
		{key: "raft.state.candidate", name: states, help: statesIs, labels: label("state", "candidate")},
		{key: "raft.state.leader", name: states, help: statesIs, labels: label("state", "leader")},
		{key: "raft.transition.heartbeat_timeout", name: waits, help: waitsIs, labels: label("timeout", "heartbeat")},
		{key: "raft.transition.leader_lease_timeout", name: waits, help: waitsIs, labels: label("timeout", "leader_lease")},
		{key: "raft.replication.appendEntries.logs", name: "mainstem_raft_replicated_entries_total", help: "Entries that this node sent to followers while it led."},

		{key: "raft.commitTime", kind: measures, name: "mainstem_raft_commit_seconds", help: "Time from an entry's arrival at raft until a quorum had it, on the leader."},
		{key: "raft.leader.dispatchLog", kind: measures, name: "mainstem_raft_leader_store_seconds", help: "Time that a leader took to write entries into its log."},
		{key: "raft.rpc.appendEntries.storeLogs", kind: measures, name: "mainstem_raft_follower_store_seconds", help: "Time that a follower took to write entries into its log."},
		{key: "raft.rpc.appendEntries", kind: measures, name: "mainstem_raft_append_entries_seconds", help: "Time that a follower took for a leader's entries."},
		{key: "raft.rpc.requestVote", kind: measures, name: "mainstem_raft_request_vote_seconds", help: "Time that this node took to judge a candidate."},
		{key: "raft.rpc.installSnapshot", kind: measures, buckets: long, name: "mainstem_raft_install_snapshot_seconds", help: "Time that a follower took to receive and restore a snapshot."},
		{key: "raft.candidate.electSelf", kind: measures, name: "mainstem_raft_election_seconds", help: "Time that a candidate took to ask for votes."},
		{key: "raft.snapshot.takeSnapshot", kind: measures, buckets: long, name: "mainstem_raft_snapshot_seconds", help: "Time that raft took for a snapshot, with the cut of its log."},
		{key: "raft.compactLogs", kind: measures, buckets: long, name: "mainstem_raft_compaction_seconds", help: "Time that raft took to cut its log."},
		{key: "raft.fsm.restore", kind: measures, buckets: long, name: "mainstem_raft_restore_seconds", help: "Time that the copy took to become a snapshot's."},
		{key: "raft.fsm.applyBatchNum", kind: measures, buckets: prometheus.ExponentialBuckets(1, 2, 8), name: "mainstem_raft_apply_batch_entries", help: "Entries that were applied at once."},
		{key: "raft.leader.lastContact", kind: measures, scale: 1e-3, name: "mainstem_raft_follower_contact_seconds", help: "Time since a leader heard of a follower, whenever it looks whether it may go on leading."},
		{key: "raft.replication.appendEntries.rpc", kind: perMember, name: "mainstem_raft_replication_seconds", help: "Time from sending entries to a follower until its answer, on the leader."},
		{key: "raft.replication.heartbeat", kind: perMember, name: "mainstem_raft_heartbeat_seconds", help: "Time from a heartbeat to a follower until its answer, on the leader."},
		{key: "raft.replication.installSnapshot", kind: perMember, buckets: long, name: "mainstem_raft_snapshot_send_seconds", help: "Time that a snapshot took to a follower, on the leader."},

		{key: "memberlist.msg.alive", name: messages, help: tellsIs, labels: label("says", "alive")},
		{key: "memberlist.msg.suspect", name: messages, help: tellsIs, labels: label("says", "suspect")},
		{key: "memberlist.msg.dead", name: messages, help: tellsIs, labels: label("says", "dead")},
		{key: "memberlist.udp.sent", name: sent, help: sentIs, labels: label("transport", "udp")},
		{key: "memberlist.tcp.sent", name: sent, help: sentIs, labels: label("transport", "tcp")},
		{key: "memberlist.udp.received", name: "mainstem_gossip_received_bytes_total", help: "Bytes that gossip received, by transport.", labels: label("transport", "udp")},
		{key: "memberlist.tcp.connect", name: conns, help: connsIs, labels: label("made", "here")},
		{key: "memberlist.tcp.accept", name: conns, help: connsIs, labels: label("made", "elsewhere")},
		{key: "memberlist.degraded.probe", name: slow, help: slowIs, labels: label("late", "probe")},
		{key: "memberlist.degraded.timeout", name: slow, help: slowIs, labels: label("late", "suspicion")},
		{key: "memberlist.health.score", kind: shows, name: "mainstem_gossip_health_score", help: "How slow gossip finds this node to be; 0 is well."},
		{key: "memberlist.gossip", kind: measures, name: "mainstem_gossip_round_seconds", help: "Time that gossip took to tell some members the news."},
		{key: "memberlist.probeNode", kind: measures, name: "mainstem_gossip_probe_seconds", help: "Time that gossip took to see whether a member lives."},
		{key: "memberlist.pushPullNode", kind: measures, name: "mainstem_gossip_sync_seconds", help: "Time that gossip took to compare all it knows with a member."},
		{key: "memberlist.queue.broadcasts", kind: measures, buckets: prometheus.ExponentialBuckets(1, 4, 8), name: "mainstem_gossip_queued_broadcasts", help: "News that wait to be spread."},
	}
}
