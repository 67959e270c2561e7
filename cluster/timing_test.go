package cluster_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster/clustertest"
)

// The leader tells of its log and its machine, a follower of the way to the leader.
func TestStagesOfAnAppendAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader(c.IDs()...)
		for _, id := range c.IDs() {
			m := c.Node(id)
			stages := map[string]time.Duration{}
			_, err := m.SubmitTimed(t.Context(), command("x"), func(stage string, took time.Duration) {
				if _, twice := stages[stage]; twice || took < 0 {
					t.Errorf("%s: %v after %v", stage, took, stages)
				}
				stages[stage] = took
			})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"forward", "queue"}
			if m == leader {
				want = []string{"apply", "queue", "raft"}
			}
			if got := slices.Sorted(maps.Keys(stages)); !slices.Equal(got, want) {
				t.Errorf("%s told of %v, want %v", id, got, want)
			}
		}
	})
}
