package main

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mainstem/httpapi"
	"mainstem/operator"
	"mainstem/storage"
	"mainstem/wiring"
)

// letIn makes the protocol's handler and puts it behind the front door.
func (n *node) letIn() (err error) {
	h, l := n.cfg.HTTP, n.cfg.Limits
	var access httpapi.Access
	mayChange := byPlace(n.cfg.Cluster.AdminToken)
	if n.gate.Open() {
		access = n.gate
		mayChange = func(*http.Request) string { return "" } // the gate has decided
	}
	n.api, err = httpapi.New(httpapi.Config{
		BasePath: h.BasePath, CORSOrigins: h.CORSOrigins, StateOffsets: h.StateOffsets,
		LongPollTimeout: h.LongPollTimeout, SSEReconnectInterval: h.SSEReconnectInterval, SSEKeepAlive: h.SSEKeepAlive,
		SlowReaderTimeout: h.SlowReaderTimeout, NoLeaderGrace: h.NoLeaderGrace,
		BodyBytesMax: l.BodyBytes, ChunkBytes: int(l.ChunkBytes), LiveReadersMax: l.LiveReaders,
		NameBytesMax: l.NameBytes, NameSegmentsMax: l.NameSegments, InFlightBytesMax: l.InFlightBytes, OutgoingBytesMax: l.OutgoingBytes,
		ClientRequests: l.ClientRequests, ClientBytes: l.ClientBytes,
		PublicURL: n.cfg.Server.PublicURL, Subscriptions: n.machine, Webhooks: n.deliverer,
		Access: access, TakeOver: n.takeOver(), Damaged: n.health.Damaged(),
		Log: n.log, Tracer: n.tracer, Metrics: n.metrics,
	}, n.cluster, n.cluster, n.machine, clusterFace{wiring.Face{Node: n.cluster}, n.space})
	if err != nil {
		return err
	}
	admin := adminHandler(n.cluster, mayChange, n.engine.Checksum)
	serveKeyring(admin, n.cluster, mayChange)
	admin.HandleFunc("POST "+operator.RotateKeyPath, rotateHandler(n.deliverer.Rotate, mayChange))
	if n.backups, err = n.newBackups(); err != nil {
		return err
	}
	n.backups.handle(admin, mayChange)
	n.newDiagnosis().handle(admin, mayChange)
	var guard http.Handler = admin
	if n.gate.Open() {
		guard = guarded(n.gate, admin)
	}
	n.door.letIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, operator.PathPrefix) { // the mux cleans paths, and those of streams must stay as they are
			if _, pattern := admin.Handler(r); pattern != "" {
				guard.ServeHTTP(w, r)
				return
			}
		}
		n.api.ServeHTTP(w, r)
	}))
	return nil
}

// clusterFace adds this node's disk to what is checked of it.
type clusterFace struct {
	wiring.Face
	space *storage.Space // nil without a disk
}

var _ httpapi.Cluster = clusterFace{}

// Checks holds the disk too, so that operators see a full one: requests that come
// nevertheless are served as far as they can be.
func (f clusterFace) Checks() []httpapi.Check {
	checks := f.Face.Checks()
	if f.space == nil {
		return checks
	}
	disk := httpapi.Check{Name: "disk"}
	if room := f.space.Room(); room.Level == storage.Full {
		disk.Err = fmt.Errorf("the disk is full: %d bytes of %d are free; reads and deletes are served, data is refused until space is freed", room.Free, room.Total)
	}
	return append(checks, disk)
}

// newRegistry holds what /metrics shows: the process itself here, the rest by
// each package.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "mainstem_build_info",
		Help:        "1, labelled with the version that runs.",
		ConstLabels: prometheus.Labels{"version": buildVersion(), "goversion": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	shareTelemetry(r)
	return r
}
