package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sampleOf reads one sample of /metrics.
func sampleOf(t *testing.T, url, name string) float64 {
	t.Helper()
	_, page := get(t, url)
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("%s is not in %s", name, url)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// An append costs one fsync of the raft log, whatever it holds, and none of
// anything else.
func TestAnAppendCostsOneFsync(t *testing.T) {
	_, base := dev(t)
	metrics := strings.TrimSuffix(base, "/v1/stream") + "/metrics"
	const log, stable = `mainstem_fsync_seconds_count{store="log"}`, `mainstem_fsync_seconds_count{store="stable"}`
	mustDo(t, http.MethodPut, base+"/costs", "application/json", "", http.StatusCreated) // opens the node's session too
	logBefore, stableBefore := sampleOf(t, metrics, log), sampleOf(t, metrics, stable)
	const appends = 25
	for i := range appends {
		messages := strings.Repeat(fmt.Sprintf(`{"n":%d},`, i), 1+10*i)
		mustDo(t, http.MethodPost, base+"/costs", "application/json", "["+messages+"{}]", http.StatusNoContent)
	}
	if got := sampleOf(t, metrics, log) - logBefore; got != appends {
		t.Errorf("%v fsyncs of the log for %d appends", got, appends)
	}
	if got := sampleOf(t, metrics, stable) - stableBefore; got != 0 {
		t.Errorf("%v fsyncs of the stable store", got)
	}
}
