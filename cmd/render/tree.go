package render

import (
	"golang.org/x/net/html"
)

// el makes an element. What follows the tag is put into it in order: an
// html.Attribute, a string (text, escaped when the tree is written), a node, or a
// list of nodes; a nil node is left out. Foreign text becomes part of a page as a
// text node or an attribute's value only, so it can make no element of its own.
//
// html/template would do that as well, but its calls of methods by name keep every
// exported method of the program alive in the linker: 3.5 MB of the binary.
func el(tag string, parts ...any) *html.Node {
	n := &html.Node{Type: html.ElementNode, Data: tag}
	for _, p := range parts {
		switch p := p.(type) {
		case html.Attribute:
			n.Attr = append(n.Attr, p)
		case string:
			n.AppendChild(&html.Node{Type: html.TextNode, Data: p})
		case *html.Node:
			if p != nil {
				n.AppendChild(p)
			}
		case []*html.Node:
			for _, c := range p {
				n.AppendChild(c)
			}
		default:
			panic("render: an element takes attributes, texts and nodes only")
		}
	}
	return n
}

// at is an attribute.
func at(key, value string) html.Attribute { return html.Attribute{Key: key, Val: value} }

// class is the attribute that styles hang on.
func class(names string) html.Attribute { return at("class", names) }

// verbatim stands in the page as it is: our own style, script and picture, and
// JSON whose "<" is escaped.
func verbatim(text string) *html.Node { return &html.Node{Type: html.RawNode, Data: text} }

// when is the node made by f where ok holds, and none otherwise.
func when(ok bool, f func() *html.Node) *html.Node {
	if !ok {
		return nil
	}
	return f()
}

// each makes a node of every element.
func each[T any](list []T, f func(i int, v *T) *html.Node) []*html.Node {
	out := make([]*html.Node, 0, len(list))
	for i := range list {
		out = append(out, f(i, &list[i]))
	}
	return out
}

// quiet says in a section that there is nothing to show.
func quiet(text string) *html.Node { return el("p", class("quiet"), text) }

// section is a part of the page with its heading.
func section(id, title string, parts ...any) *html.Node {
	head := []any{at("id", id), at("aria-labelledby", "h-"+id), el("h2", at("id", "h-"+id), title)}
	return el("section", append(head, parts...)...)
}
