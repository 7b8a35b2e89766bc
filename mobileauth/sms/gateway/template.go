// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values are what is filled into a template, by name without braces.
type values map[string]string

// Names of placeholders.
const (
	to, from, text, id, ttl = "to", "from", "text", "id", "ttl"
	number                  = "ttl:number"
)

var placeholder = regexp.MustCompile(`\{[a-z_:]+\}`)

// names returns the placeholders of a text, or an error where one is not among those that are allowed there.
func names(of string, allowed ...string) ([]string, error) {
	var found []string
	for _, braced := range placeholder.FindAllString(of, -1) {
		name := strings.Trim(braced, "{}")
		if !slices.Contains(allowed, name) {
			return nil, fmt.Errorf("the placeholder %s cannot stand there", braced)
		}
		found = append(found, name)
	}
	return found, nil
}

// fill puts values in the place of placeholders, each as the function writes it. What was filled in is not looked at again.
func (v values) fill(template string, escape func(string) string) string {
	return placeholder.ReplaceAllStringFunc(template, func(braced string) string { return escape(v[strings.Trim(braced, "{}")]) })
}

func plainly(s string) string { return s }

// template is a body with places to fill in.
type template interface {
	// append adds the filled body.
	append(to []byte, v values) []byte
}

// Limits of templates.
const (
	maxTemplate = 16 << 10
	maxDepth    = 16
)

var bodies = []string{to, from, text, id, ttl}

// pairs is a form, in its order.
type pairs []pair

type pair struct{ name, value string }

func readForm(source string) (pairs, []string, error) {
	var p pairs
	var found []string
	for part := range strings.SplitSeq(source, "&") {
		name, value, ok := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !ok || name == "" || placeholder.MatchString(name) || strings.Contains(part, ";") {
			return nil, nil, errors.New("it is not a form of fixed names and their values")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, nil, errors.New("it is not a form of fixed names and their values")
		}
		more, err := names(value, bodies...)
		if err != nil {
			return nil, nil, err
		}
		p, found = append(p, pair{name, value}), append(found, more...)
	}
	return p, found, nil
}

func (p pairs) append(b []byte, v values) []byte {
	for i, pair := range p {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, url.QueryEscape(pair.name)+"="+url.QueryEscape(v.fill(pair.value, plainly))...)
	}
	return b
}

// node is one value of a JSON template: an object, an array, a string, or what is copied as it stands.
type node struct {
	names   []string // of the members of an object
	items   []node   // their values, or those of an array
	open    byte     // '{' or '[' where it is one
	text    string   // a string
	literal []byte   // what is neither
}

func readJSON(source string) (node, []string, error) {
	d := json.NewDecoder(strings.NewReader(source))
	d.UseNumber()
	var found []string
	n, err := readNode(d, &found, 0)
	if err != nil {
		return node{}, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, nil, errors.New("something follows the JSON document")
	}
	return n, found, nil
}

func readNode(d *json.Decoder, found *[]string, depth int) (node, error) {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return node{}, errors.New("it is not JSON, or too deep")
	}
	switch t := token.(type) {
	case json.Delim:
		return readItems(d, byte(t), found, depth)
	case string:
		if t == "{"+number+"}" {
			*found = append(*found, ttl)
			return node{text: t}, nil
		}
		more, err := names(t, bodies...)
		*found = append(*found, more...)
		return node{text: t}, err
	default:
		literal, err := json.Marshal(t)
		return node{literal: literal}, err
	}
}

// readItems reads an array or object whose first delimiter was read.
func readItems(d *json.Decoder, open byte, found *[]string, depth int) (node, error) {
	n := node{open: open}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			text, ok := name.(string)
			if err != nil || !ok || placeholder.MatchString(text) || slices.Contains(n.names, text) {
				return node{}, errors.New("a member's name is repeated, or has a placeholder")
			}
			n.names = append(n.names, text)
		}
		item, err := readNode(d, found, depth+1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, item)
	}
	if _, err := d.Token(); err != nil {
		return node{}, errors.New("it is not JSON")
	}
	return n, nil
}

func (n node) append(b []byte, v values) []byte {
	switch {
	case n.open != 0:
		return n.appendItems(b, v)
	case n.literal != nil:
		return append(b, n.literal...)
	case n.text == "{"+number+"}":
		return append(b, v[ttl]...)
	}
	return appendString(b, v.fill(n.text, plainly))
}

func (n node) appendItems(b []byte, v values) []byte {
	b = append(b, n.open)
	for i, item := range n.items {
		if i > 0 {
			b = append(b, ',')
		}
		if n.open == '{' {
			b = append(appendString(b, n.names[i]), ':')
		}
		b = item.append(b, v)
	}
	return append(b, n.open+2) // ']' and '}' stand two behind '[' and '{' in ASCII
}

// appendString writes a JSON string without the escapes that are for web pages.
func appendString(b []byte, s string) []byte {
	var buffer bytes.Buffer
	e := json.NewEncoder(&buffer)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return strconv.AppendQuoteToASCII(b, "") // strings are JSON
	}
	return append(b, bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))...)
}
