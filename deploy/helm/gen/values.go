package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

// schema is a part of a JSON schema.
type schema map[string]any

// value is one value of the chart with what its comment says.
type value struct {
	path     string
	about    string
	extra    schema // of the comment's @schema
	settings bool   // the settings of the program
	node     *yaml.Node
	children []*value // of a mapping with fixed keys
}

// parseValues reads values.yaml. Every leaf must be described.
func parseValues(source []byte) (*value, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("want one mapping")
	}
	root := &value{node: doc.Content[0]}
	return root, root.parseChildren()
}

func (v *value) parseChildren() error {
	for i := 0; i < len(v.node.Content); i += 2 {
		key, node := v.node.Content[i], v.node.Content[i+1]
		child := &value{path: strings.TrimPrefix(v.path+"."+key.Value, "."), node: node}
		if err := child.parseComment(key.HeadComment); err != nil {
			return fmt.Errorf("%s: %w", child.path, err)
		}
		if child.fixed() {
			if err := child.parseChildren(); err != nil {
				return err
			}
		} else if child.about == "" {
			return fmt.Errorf("%s: no description; write one behind \"# -- \" above it", child.path)
		}
		v.children = append(v.children, child)
	}
	return nil
}

// fixed reports that a mapping has the keys that stand there and no others.
func (v *value) fixed() bool {
	return v.node.Kind == yaml.MappingNode && len(v.node.Content) > 0 && v.extra["additionalProperties"] == nil
}

func (v *value) parseComment(comment string) error {
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#"))
		text, isAbout := strings.CutPrefix(line, "-- ")
		extra, isSchema := strings.CutPrefix(line, "@schema ")
		switch {
		case isAbout:
			v.about = text
		case isSchema:
			if err := json.Unmarshal([]byte(extra), &v.extra); err != nil {
				return fmt.Errorf("@schema: %w", err)
			}
		case line == "@settings":
			v.settings = true
		}
	}
	return nil
}

// schema is what may stand in place of a value.
func (v *value) schema(settings schema) (schema, error) {
	if v.settings {
		s := maps.Clone(settings)
		s["description"] = v.about
		return s, nil
	}
	s := schema{}
	if v.about != "" {
		s["description"] = v.about
	}
	switch {
	case v.fixed():
		s["type"], s["additionalProperties"] = "object", false
		properties := schema{}
		for _, child := range v.children {
			part, err := child.schema(settings)
			if err != nil {
				return nil, err
			}
			properties[child.path[strings.LastIndex(child.path, ".")+1:]] = part
		}
		s["properties"] = properties
	case v.node.Kind == yaml.MappingNode && v.extra["additionalProperties"] == nil:
		return nil, fmt.Errorf("%s: what may it hold? say additionalProperties in an @schema", v.path)
	case v.node.Kind == yaml.SequenceNode && v.extra["items"] == nil:
		return nil, fmt.Errorf("%s: what may it list? say items in an @schema", v.path)
	case v.node.Tag == "!!null" && v.extra["type"] == nil:
		return nil, fmt.Errorf("%s: what may it be? say type in an @schema", v.path)
	default:
		s["type"] = typeOf(v.node)
	}
	maps.Copy(s, v.extra)
	return s, nil
}

func typeOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "object"
	case n.Kind == yaml.SequenceNode:
		return "array"
	case n.Tag == "!!int":
		return "integer"
	case n.Tag == "!!bool":
		return "boolean"
	case n.Tag == "!!float":
		return "number"
	}
	return "string"
}

// eachLeaf calls do for what a person sets, in the order of the file.
func (v *value) eachLeaf(do func(*value)) {
	for _, child := range v.children {
		if child.fixed() {
			child.eachLeaf(do)
		} else {
			do(child)
		}
	}
}

// kind is the type in a row of the page.
func (v *value) kind() string {
	if types, ok := v.extra["type"].([]any); ok {
		return fmt.Sprint(types[0])
	}
	if names, ok := v.extra["enum"].([]any); ok {
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(names), " ", " or "), "[]")
	}
	return typeOf(v.node)
}

func (v *value) defaultJSON() string {
	var any any
	if err := v.node.Decode(&any); err != nil {
		return err.Error()
	}
	out, err := json.Marshal(any)
	if err != nil {
		return err.Error()
	}
	return string(out)
}
