package main

import (
	"fmt"
	"slices"
	"strings"
)

// managed are the settings, and the sections of settings, that the chart sets by
// values of its own; they are not taken below config, where the two would
// contradict each other.
var managed = []string{
	"server.bind_address", "server.admin_address", "server.shutdown_timeout", "server.drain_spread",
	"storage.data_dir",
	"cluster.node_id", "cluster.peer_address", "cluster.gossip_address", "cluster.advertise_host", "cluster.join",
	"cluster.bootstrap_expect", "cluster.admin_token", "cluster.tls",
	"cluster.gossip_encryption", "cluster.gossip_key_path",
	"transport.mode", "transport.tls.cert_path", "transport.tls.key_path", "transport.tls.client_ca_path", "tls",
	"auth.api_keys_path", "auth.jwt.key_path", "auth.jwt.jwks_path", "auth.signed_url.secret", "auth.signed_url.secret_path",
	"webhooks.key_encryption_key", "webhooks.key_encryption_key_file",
}

// isManaged reports that a setting, or the section it is in, is the chart's.
func isManaged(key string) bool {
	return slices.ContainsFunc(managed, func(m string) bool { return key == m || strings.HasPrefix(key, m+".") })
}

// parseSettings makes a schema of the rows of docs/configuration.md.
func parseSettings(page string) (schema, error) {
	root := section()
	found := 0
	for line := range strings.Lines(page) {
		cells := strings.Split(line, " | ")
		key, isKey := strings.CutPrefix(cells[0], "| `")
		if !isKey || len(cells) < 6 || !strings.Contains(key, ".") {
			continue
		}
		key = strings.TrimSuffix(key, "`")
		found++
		if isManaged(key) {
			continue
		}
		about := strings.TrimSuffix(strings.TrimSpace(strings.Join(cells[5:], " | ")), " |")
		if err := place(root, strings.Split(key, "."), kindSchema(strings.TrimSpace(cells[3])), about); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if found == 0 {
		return nil, fmt.Errorf("no row of a setting was found")
	}
	return root, nil
}

func section() schema {
	return schema{"type": "object", "additionalProperties": false, "properties": schema{}}
}

func place(in schema, path []string, leaf schema, about string) error {
	properties, ok := in["properties"].(schema)
	if !ok {
		return fmt.Errorf("it is a setting and a section at once")
	}
	if len(path) == 1 {
		leaf["description"] = about
		properties[path[0]] = leaf
		return nil
	}
	next, ok := properties[path[0]].(schema)
	if !ok {
		next = section()
		properties[path[0]] = next
	}
	return place(next, path[1:], leaf, about)
}

// kindSchema is the shape of a setting of a kind in the page. The program judges
// it in full; this refuses what cannot be right.
func kindSchema(kind string) schema {
	switch {
	case kind == "true or false":
		return schema{"type": "boolean"}
	case kind == "number":
		return schema{"type": "integer"}
	case kind == "seconds":
		return schema{"type": []string{"number", "string"}}
	case strings.HasPrefix(kind, "bytes"):
		return schema{"type": []string{"string", "integer"}}
	case kind == "duration":
		return schema{"type": "string", "pattern": "^[0-9.]+(ns|us|ms|s|m|h)([0-9.]+(ns|us|ms|s|m|h))*$"}
	case strings.HasSuffix(kind, ",…"):
		return schema{"type": []string{"string", "array"}, "items": schema{"type": "string"}}
	case strings.Contains(kind, " or "):
		return schema{"enum": strings.Split(kind, " or ")}
	}
	return schema{"type": "string"}
}
