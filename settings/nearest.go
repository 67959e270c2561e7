package settings

// nearest returns the one of names that is fewest single-letter edits away from
// a wrong one, or "" when none is near enough to be a likely slip.
func nearest(wrong string, names []string) string {
	best, bestEdits := "", max(3, len(wrong)/3)+1
	for _, name := range names {
		if d := edits(wrong, name); d < bestEdits {
			best, bestEdits = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two names, byte by byte.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
