// SPDX-License-Identifier: Apache-2.0

package confirm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// Sources of fields.
const (
	fromJSON   = "json"
	fromForm   = "form"
	fromQuery  = "query"
	fromHeader = "header"
	fromPath   = "path"
	fromMethod = "method"
	fromHost   = "host"
)

// long are the names that Caddy writes for what its users write shortly, by ours.
var long = []struct{ long, short string }{
	{"http.request.uri.query.", fromQuery + "."},
	{"http.request.uri.path.", fromPath + "."},
	{"http.request.uri.path", fromPath},
	{"http.request.header.", fromHeader + "."},
	{"http.request.method", fromMethod},
	{"http.request.host", fromHost},
}

// part is text, or a field where the source is set.
type part struct{ text, source, name string }

func (p *part) String() string { return strings.TrimSuffix(p.source+"."+p.name, ".") }

// Template is a message with fields of a request in it: {json.payment.amount}, {form.amount}, {query.to}, {header.Currency},
// {path.2} for the second segment of the path, {path}, {method} and {host}. Two braces stand for one.
type Template struct{ parts []part }

// ParseTemplate reads a template. It refuses fields that no request could have, and a text without any words of its own: what
// is shown would be the caller's alone.
func ParseTemplate(text string) (*Template, error) {
	t := new(Template)
	plain := new(strings.Builder)
	for rest := text; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			plain.WriteString(rest)
			break
		}
		plain.WriteString(rest[:i])
		if rest[i:min(i+2, len(rest))] == rest[i:i+1]+rest[i:i+1] {
			plain.WriteByte(rest[i])
			rest = rest[i+2:]
			continue
		}
		inside, after, closed := strings.Cut(rest[i+1:], "}")
		if rest[i] == '}' || !closed {
			return nil, fmt.Errorf("message %q: a brace stands alone; two of them stand for one", text)
		}
		field, err := parseField(inside)
		if err != nil {
			return nil, fmt.Errorf("message %q: %w", text, err)
		}
		t.parts = append(t.parts, part{text: plain.String()}, field)
		plain.Reset()
		rest = after
	}
	t.parts = append(t.parts, part{text: plain.String()})
	if !slices.ContainsFunc(t.parts, func(p part) bool { return p.source == "" && strings.TrimSpace(p.text) != "" }) {
		return nil, fmt.Errorf("message %q: it has no words of its own", text)
	}
	return t, t.check(text)
}

// check refuses a text that could never be shown, whatever the fields hold.
func (t *Template) check(text string) error {
	var sample strings.Builder
	for _, p := range t.parts {
		sample.WriteString(p.text)
		if p.source != "" {
			sample.WriteByte('0')
		}
	}
	if _, err := shown.Text("message", sample.String(), shown.Content{Most: mobiletype.MaxMessage}); err != nil {
		return fmt.Errorf("message %q: %w", text, err)
	}
	return nil
}

func parseField(inside string) (part, error) {
	for _, l := range long {
		if rest, ok := strings.CutPrefix(inside, l.long); ok && (strings.HasSuffix(l.long, ".") || rest == "") {
			inside = l.short + rest
			break
		}
	}
	source, name, _ := strings.Cut(inside, ".")
	p := part{source: source, name: name}
	switch source {
	case fromMethod, fromHost:
		if inside == source {
			return p, nil
		}
	case fromPath:
		if inside == source || segment(name) > 0 {
			return p, nil
		}
	case fromJSON:
		if inside != source && !slices.Contains(strings.Split(name, "."), "") {
			return p, nil
		}
	case fromForm, fromQuery, fromHeader:
		if name != "" {
			return p, nil
		}
	}
	return part{}, fmt.Errorf("{%s} is no field of a request, such as {json.amount}, {form.amount}, {query.to}, {header.Currency}, {path.1}, {path}, {method}, {host}", inside)
}

// segment reads the number of a segment of the path, from 1 to 99; 0 is none.
func segment(name string) int {
	n := 0
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' || len(name) > 2 || name[0] == '0' {
			return 0
		}
		n = 10*n + int(name[i]-'0')
	}
	return n
}

// Headers returns the header fields that the template shows. They are to be bound.
func (t *Template) Headers() []string {
	var names []string
	for _, p := range t.parts {
		if p.source == fromHeader {
			names = append(names, p.name)
		}
	}
	return names
}

// ReadsBody reports whether the body has to be known: the template shows something of it, or of what a body may say otherwise.
func (t *Template) ReadsBody() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool {
		return slices.Contains([]string{fromJSON, fromForm, fromQuery, fromMethod}, p.source)
	})
}

// Render returns the message for a request. It is refused with a [shown.FieldError] that names the field, and never its value,
// where a field is missing, stands there more than once, is no plain value, or could not be shown as it is; and where the
// whole is longer than a message may be.
func (t *Template) Render(r *Request) (string, error) {
	values := reader{request: r}
	if err := values.plain(); err != nil {
		return "", err
	}
	var text strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		if p.source == "" {
			text.WriteString(p.text)
			continue
		}
		value, err := values.field(p)
		if err == nil {
			value, err = shown.Text(p.String(), value, shown.Content{Most: shown.MaxValue})
		}
		if err != nil {
			return "", err
		}
		if value == "" {
			return "", shown.Invalid(p.String(), "it is empty")
		}
		text.WriteString(value)
	}
	if strings.Contains(text.String(), mobiletype.Code) { // which a phone that has no code to show leaves out
		return "", shown.Invalid("message", "it holds the place of a code")
	}
	return shown.Text("message", text.String(), shown.Content{Most: mobiletype.MaxMessage})
}
