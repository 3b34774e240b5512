package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"go.yaml.in/yaml/v3"
)

// writeJSON writes a value; hostile characters inside strings are \u escapes,
// so that the value stays what it is and a terminal stays safe.
func writeJSON(w io.Writer, v any, indent bool) error {
	data, err := encode(v, indent)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func encode(v any, indent bool) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	v1.Filled(v)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return escape(bytes.TrimRight(b.Bytes(), "\n")), nil
}

// escape writes hostile characters beyond ASCII as \uXXXX. In JSON and in
// double-quoted YAML they can only stand inside strings.
func escape(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] < 0x7f {
			out = append(out, data[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case !hostile(r):
			out = append(out, data[i:i+n]...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	return out
}

// writeYAML writes the same document as writeJSON, in YAML's block style and in
// the same order of keys.
func writeYAML(w io.Writer, v any) error {
	data, err := encode(v, false)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	block(&doc)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	_, err = w.Write(escape(b.Bytes()))
	return err
}

// block takes JSON's flow style off; strings that hold anything hostile stay
// double-quoted, the only style that can escape.
func block(n *yaml.Node) {
	switch {
	case n.Kind != yaml.ScalarNode:
		if len(n.Content) > 0 {
			n.Style = 0
		}
	case n.Tag == "!!str" && Clean(n.Value) == n.Value:
		n.Style = 0
	}
	for _, c := range n.Content {
		block(c)
	}
}
