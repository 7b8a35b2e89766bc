// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func parse(t testing.TB, body string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatalf("parsing page: %v", err)
	}
	return doc
}

func walk(n *html.Node, visit func(*html.Node)) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode {
			visit(d)
		}
	}
}

func find(n *html.Node, tag string) []*html.Node {
	var out []*html.Node
	walk(n, func(d *html.Node) {
		if d.Data == tag {
			out = append(out, d)
		}
	})
	return out
}

func byID(n *html.Node, id string) *html.Node {
	var out *html.Node
	walk(n, func(d *html.Node) {
		if attr(d, "id") == id {
			out = d
		}
	})
	return out
}

func visibleInputs(n *html.Node) []*html.Node {
	var out []*html.Node
	for _, input := range find(n, "input") {
		if attr(input, "type") != "hidden" && !has(input, "hidden") {
			out = append(out, input)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

func text(n *html.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}
