package settings

import "testing"

func TestEditsCountLetters(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"kitten", "sitting", 3}, {"DS_A_B", "DS_A__B", 1},
	} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("edits(%q, %q): got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestNearestGivesUpOnStrangers(t *testing.T) {
	names := []string{"--addr", "--data-dir"}
	if got := nearest("--datadir", names); got != "--data-dir" {
		t.Errorf("got %q, want --data-dir", got)
	}
	if got := nearest("--completely-different", names); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}
