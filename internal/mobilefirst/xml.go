// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 1 << 20

// What a file may hold: real ones are far below.
const (
	maxDepth      = 16
	maxElements   = 10_000
	maxAttributes = 64
)

// ErrFile is wrapped by what is wrong with a file itself: it is too large, it is not XML, or it says a thing twice. The text
// has the line.
var ErrFile = errors.New("the file is not usable")

func faulty(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrFile, line, fmt.Sprintf(format, args...))
}

// node is an element of a file.
type node struct {
	name     string
	space    string
	line     int
	attrs    []attr
	text     string
	children []*node

	words []byte // of which the text is made when the element ends
}

type attr struct{ name, value string }

func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// child returns the first child of a name, or nil.
func (n *node) child(name string) *node {
	i := slices.IndexFunc(n.children, func(c *node) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return n.children[i]
}

// parse reads XML strictly: UTF-8, one root, no document type and so no entity of its own, each attribute once.
func parse(file []byte) (*node, error) {
	if len(file) > MaxSize {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrFile, MaxSize)
	}
	decoder := xml.NewDecoder(bytes.NewReader(file))
	t := new(tree)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFile, err)
		}
		line, _ := decoder.InputPos()
		if err := t.add(token, line); err != nil {
			return nil, err
		}
	}
	if t.root == nil {
		return nil, fmt.Errorf("%w: there is nothing in it", ErrFile)
	}
	return t.root, nil
}

// tree is a file that is being read.
type tree struct {
	root     *node
	open     []*node // from the root to the element at hand
	elements int
}

func (t *tree) add(token xml.Token, line int) error {
	switch token := token.(type) {
	case xml.StartElement:
		return t.begin(token, line)
	case xml.EndElement:
		ended := t.open[len(t.open)-1]
		ended.text, ended.words = string(ended.words), nil
		t.open = t.open[:len(t.open)-1]
	case xml.CharData:
		if len(t.open) > 0 {
			at := t.open[len(t.open)-1]
			at.words = append(at.words, token...)
		} else if strings.TrimSpace(string(token)) != "" {
			return faulty(line, "text stands outside of every element")
		}
	case xml.Directive:
		return faulty(line, "it has a document type, which is not read")
	case xml.ProcInst:
		if token.Target != "xml" || t.root != nil {
			return faulty(line, "it has a processing instruction")
		}
	}
	return nil
}

// foreign are namespaces of attributes that say nothing about the configuration.
var foreign = []string{"xmlns", "http://www.w3.org/2001/XMLSchema-instance", "xsi", "http://www.w3.org/XML/1998/namespace", "xml"}

func (t *tree) begin(start xml.StartElement, line int) error {
	t.elements++
	n := &node{name: start.Name.Local, space: start.Name.Space, line: line}
	switch {
	case t.elements > maxElements:
		return faulty(line, "it has more than %d elements", maxElements)
	case len(start.Attr) > maxAttributes:
		return faulty(line, "%s has more than %d attributes", printable(n.name), maxAttributes)
	case len(t.open) == maxDepth:
		return faulty(line, "its elements are nested more than %d deep", maxDepth)
	case len(t.open) == 0 && t.root != nil:
		return faulty(line, "it has a second root, %s", printable(n.name))
	}
	for _, a := range start.Attr {
		if a.Name.Local == "xmlns" || slices.Contains(foreign, a.Name.Space) {
			continue
		}
		if slices.ContainsFunc(n.attrs, func(other attr) bool { return other.name == a.Name.Local }) {
			return faulty(line, "%s has the attribute %s twice", printable(n.name), printable(a.Name.Local))
		}
		n.attrs = append(n.attrs, attr{a.Name.Local, strings.TrimSpace(a.Value)})
	}
	if len(t.open) == 0 {
		t.root = n
	} else {
		parent := t.open[len(t.open)-1]
		parent.children = append(parent.children, n)
	}
	t.open = append(t.open, n)
	return nil
}

// namespaces of authenticationConfig.xml. A prefix that nobody declared is its own namespace to the decoder.
var namespaces = []string{"", "tns", "http://www.worklight.com/auth/config"}
