// Package doctor judges a cluster: from what its members tell, and from what was
// seen of data directories, it makes findings that say what is wrong, why it
// matters and what to do.
//
//	status, metrics, settings ─▶ Member ─┐
//	space, damage, speed ──────▶ Dir ────┴▶ Examination ── Findings ──▶ []Finding
//
// It asks nobody and changes nothing, and the same examination has the same
// findings: how members are found and asked, and who reads the findings, is the
// caller's matter.
package doctor
