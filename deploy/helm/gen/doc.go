// Gen writes what stands beside the chart's values.yaml: values.schema.json,
// which refuses what is not in it, and README.md, which lists it. The schema of
// the program's own settings comes from docs/configuration.md, so that a setting
// is named once, in the table of package settings. It also copies the alerts and the
// dashboard into the chart.
//
// It knows nothing of Kubernetes and does not render templates.
package main
