package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"mainstem/backup"
	"mainstem/operator"
	"mainstem/storage"
)

const (
	// backupStallTimeout is how long a reader of a backup may take for a piece of
	// it: while it reads, the copy keeps what was overwritten.
	backupStallTimeout = time.Minute
	backupFenceTimeout = 10 * time.Second
	backupPieceBytes   = 64 << 10
)

// backups hands out this node's copy, to one reader at a time.
type backups struct {
	view    func() (*storage.View, error)
	fence   func(context.Context) error
	whoami  func(context.Context) (nodeID, clusterID string)
	damage  func() string
	fs      vfs.FS
	dir     storage.Dir
	now     func() time.Time
	log     *slog.Logger
	turn    chan struct{}
	stopped chan struct{} // closed when this node stops
	stop    func()

	last prometheus.Gauge
}

func (n *node) newBackups() (*backups, error) {
	b := &backups{
		view: n.engine.View, fence: n.cluster.Fence, damage: n.health.Damage, fs: n.fs, dir: n.dir, now: time.Now, log: n.log,
		whoami: func(ctx context.Context) (string, string) {
			st := n.cluster.Status(ctx)
			return st.NodeID, st.ClusterID
		},
	}
	return b, b.prepare(n.metrics)
}

// prepare makes what no one hands in, and the metric from what is known on disk.
func (b *backups) prepare(metrics prometheus.Registerer) error {
	b.turn, b.stopped = make(chan struct{}, 1), make(chan struct{})
	b.stop = sync.OnceFunc(func() { close(b.stopped) })
	b.last = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mainstem_last_backup_timestamp_seconds",
		Help: "When the last backup that was read from this node was taken, since 1970; 0 for never. It survives a restart. The newest of all nodes counts.",
	})
	metrics.MustRegister(b.last)
	known, err := storage.LoadLastBackup(b.fs, b.dir)
	if err == nil && known.ID != "" {
		b.set(known)
	}
	return err
}

func (b *backups) set(last storage.LastBackup) {
	b.last.Set(float64(last.TakenAt.UnixMilli()) / 1000)
}

// handle registers the endpoints: who may not change the cluster may not read all
// of it either.
func (b *backups) handle(mux *http.ServeMux, mayChange func(*http.Request) string) {
	for path, serve := range map[string]http.HandlerFunc{operator.BackupPath: b.serve, operator.BackupDonePath: b.done} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if why := mayChange(r); why != "" {
				problemJSON(w, r, http.StatusForbidden, "FORBIDDEN", "NOT_AN_OPERATOR", why)
				return
			}
			serve(w, r)
		})
	}
}

// serve hands out the copy as it is once all is in it that was acknowledged before
// the request.
func (b *backups) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	default:
		problemJSON(w, r, http.StatusConflict, "CONFLICT", "BACKUP_RUNS", "another backup is being read from this node; wait for it, or ask another node")
		return
	}
	ask, err := readAsk(w, r)
	if err != nil {
		problemJSON(w, r, http.StatusBadRequest, "BAD_REQUEST", "MALFORMED", err.Error())
		return
	}
	if what := b.damage(); what != "" {
		unavailable(w, r, "REPLICA_DAMAGED", "this node's copy was found damaged and makes no backup; ask another node")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() { // ends with the request
		select {
		case <-b.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	if local, _ := strconv.ParseBool(r.URL.Query().Get(operator.ParamLocal)); !local {
		fenced, cancel := context.WithTimeout(ctx, backupFenceTimeout)
		err := b.fence(fenced)
		cancel()
		if err != nil {
			unavailable(w, r, "NO_LEADER", "this node cannot make sure that its copy has all that was acknowledged: "+err.Error()+"; --local backs up what it has")
			return
		}
	}
	if err := b.send(ctx, w, r, ask); err != nil {
		b.log.Warn("backup broke off", "reader", r.RemoteAddr, "err", err)
	}
}

// readAsk reads what the request says of a base.
func readAsk(w http.ResponseWriter, r *http.Request) (ask backup.Ask, err error) {
	q := r.URL.Query()
	if ask.ClusterID = q.Get(operator.ParamBaseCluster); ask.ClusterID == "" {
		return ask, nil
	}
	if ask.Index, err = strconv.ParseUint(q.Get(operator.ParamBaseIndex), 10, 64); err != nil || ask.Index == 0 {
		return ask, fmt.Errorf("%s is %q, not the index of a log", operator.ParamBaseIndex, q.Get(operator.ParamBaseIndex))
	}
	if ask.Held, err = io.ReadAll(http.MaxBytesReader(w, r.Body, backup.BaseBytesMax)); err != nil {
		return ask, fmt.Errorf("the table of the base: %w; make a full backup", err)
	}
	return ask, nil
}

func (b *backups) send(ctx context.Context, w http.ResponseWriter, r *http.Request, ask backup.Ask) (err error) {
	view, err := b.view()
	if err != nil {
		unavailable(w, r, "STOPPING", "this node stops; ask another")
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	g, err := view.Globals()
	if err != nil {
		unavailable(w, r, "UNREADABLE", err.Error())
		return err
	}
	nodeID, clusterID := b.whoami(ctx)
	switch {
	case g.Applied == 0:
		unavailable(w, r, "NOT_READY", "this node's copy is empty yet; ask another node")
		return nil
	case ask.ClusterID != "" && (ask.ClusterID != clusterID || ask.Index > g.Applied):
		problemJSON(w, r, http.StatusConflict, "CONFLICT", "BASE_UNFIT", fmt.Sprintf(
			"the base is of cluster %s at entry %d, and this node's copy of cluster %s at entry %d", ask.ClusterID, ask.Index, clusterID, g.Applied))
		return nil
	}
	h := backup.Header{ClusterID: clusterID, NodeID: nodeID, Version: buildVersion(), Index: g.Applied, Term: g.Term, TakenAt: b.now().UTC(), Since: ask.Index}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	deadline := http.NewResponseController(w).SetWriteDeadline
	out := bufio.NewWriterSize(&patientWriter{w: w, deadline: deadline, now: b.now}, backupPieceBytes)
	defer func() { _ = deadline(time.Time{}) }() // the connection may bring another request
	begun := b.now()
	if err := backup.Send(ctx, out, h, view, ask.Held); err != nil {
		return errors.Join(err, out.Flush())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	b.log.Info("backup handed out", "index", g.Applied, "since", ask.Index, "took", b.now().Sub(begun))
	return nil
}

// patientWriter gives each piece its own deadline.
type patientWriter struct {
	w        io.Writer
	deadline func(time.Time) error
	now      func() time.Time
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.deadline(p.now().Add(backupStallTimeout)) // a writer without deadlines is a test's
	return p.w.Write(b)
}

// done takes note of a backup that is complete: only who wrote it knows.
func (b *backups) done(w http.ResponseWriter, r *http.Request) {
	var last storage.LastBackup
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, adminBytesMax)).Decode(&last)
	if err == nil && (last.ID == "" || last.Index == 0 || last.TakenAt.After(b.now().Add(time.Minute))) {
		err = fmt.Errorf("id %q, index %d, taken at %s make no backup", last.ID, last.Index, last.TakenAt)
	}
	if err != nil {
		problemJSON(w, r, http.StatusBadRequest, "BAD_REQUEST", "MALFORMED", err.Error())
		return
	}
	if err := storage.SaveLastBackup(b.fs, b.dir, last); err != nil {
		unavailable(w, r, "NOT_SAVED", err.Error())
		return
	}
	b.set(last)
	b.log.Info("backup complete", "id", last.ID, "index", last.Index)
	writeJSON(w, http.StatusOK, map[string]any{"done": true})
}
