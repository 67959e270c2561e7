package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/deliver"
	"mainstem/fsm"
)

// prepareDeliveries makes what signs, checks and, while this node leads, wakes.
// It starts nothing.
func (n *node) prepareDeliveries() (err error) {
	w := n.cfg.Webhooks
	if w.KeyFile != "" {
		text, err := os.ReadFile(w.KeyFile)
		if err != nil {
			return fmt.Errorf("--webhooks-key-encryption-key-file: %w", err)
		}
		if w.Key, err = deliver.ParseKey(string(text)); err != nil {
			return fmt.Errorf("--webhooks-key-encryption-key-file %s: %w", w.KeyFile, err)
		}
	}
	n.deliverer, err = deliver.New(deliver.Config{
		AllowInsecure: w.AllowInsecure, KeyEncryptionKey: w.Key, Log: n.log, Metrics: n.metrics,
	}, n.machine, n.joined)
	if err != nil {
		return err
	}
	countSubscriptions(n.metrics, n.machine)
	return nil
}

// rotateHandler makes webhooks sign with another key.
func rotateHandler(rotate func(context.Context) (kid string, err error), mayChange func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := mayChange(r); why != "" {
			problemJSON(w, r, http.StatusForbidden, "FORBIDDEN", "NOT_AN_OPERATOR", why)
			return
		}
		kid, err := rotate(r.Context())
		if err != nil {
			unavailable(w, r, "NOT_CHANGED", "the signing key was not replaced: "+err.Error())
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"done": true, "kid": kid})
	}
}

// countSubscriptions shows what the machine knows of them. No label is a
// client's to choose.
func countSubscriptions(r prometheus.Registerer, m *fsm.Machine) {
	gauge := func(name, help string, value func(fsm.SubscriptionFigures) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(m.SubscriptionFigures()) }))
	}
	counter := func(name, help string, value func(fsm.SubscriptionFigures) uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(m.SubscriptionFigures())) }))
	}
	gauge("mainstem_subscriptions", "Subscriptions that exist.",
		func(f fsm.SubscriptionFigures) float64 { return float64(f.Count) })
	gauge("mainstem_subscriptions_failed", "Subscriptions whose last wake could not be delivered or announced.",
		func(f fsm.SubscriptionFigures) float64 { return float64(f.Failed) })
	gauge("mainstem_subscriptions_oldest_pending_seconds", "For how long the subscription that waits longest has had data after its cursors.",
		func(f fsm.SubscriptionFigures) float64 {
			if f.OldestPending == 0 {
				return 0
			}
			return max(0, time.Since(time.UnixMilli(int64(f.OldestPending))).Seconds())
		})
	counter("mainstem_subscription_wakes_total", "Wakes that began, as this node applied them.",
		func(f fsm.SubscriptionFigures) uint64 { return f.Woken })
	counter("mainstem_subscription_lease_expiries_total", "Leases that ran out, as this node applied them.",
		func(f fsm.SubscriptionFigures) uint64 { return f.Lapsed })
}
