// Package monitor judges what watches Mainstem, and what it is shipped in, from
// outside: the alerts and the dashboard against a real Prometheus that scrapes
// three real nodes, the table of metrics in the documentation, the compose file,
// and the image, run by podman or docker.
//
// The programs for that are fetched by setup.sh. Without them (make deploy-test
// sets MAINSTEM_MONITOR to where they are) everything is skipped.
package monitor
