// SPDX-License-Identifier: Apache-2.0

package confirm

import (
	"encoding/json"
	"mime"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

const (
	post     = "POST"
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// reader reads fields of a request, each part of it once.
type reader struct {
	request *Request
	object  map[string]json.RawMessage
	form    url.Values
	query   url.Values
}

// field returns the value of a field. Its errors are [shown.FieldError]s.
func (v *reader) field(p *part) (string, error) {
	r := v.request
	switch p.source {
	case fromMethod:
		if r.Method == post {
			return r.Method, v.notInBody(p, overriding)
		}
		return r.Method, nil
	case fromHost:
		_, host, _ := strings.Cut(r.Origin, "://")
		return host, nil
	case fromPath:
		return v.path(p)
	case fromHeader:
		return only(p, r.Header(p.name))
	case fromQuery:
		return v.queryField(p)
	case fromForm:
		return v.formField(p)
	}
	return v.jsonField(p)
}

// path returns the whole path, or one segment of it, decoded.
func (v *reader) path(p *part) (string, error) {
	value := v.request.Path
	if p.name != "" {
		segments := strings.Split(strings.TrimPrefix(value, "/"), "/")
		n := segment(p.name)
		if n > len(segments) {
			return "", missing(p)
		}
		value = segments[n-1]
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return "", shown.Invalid(p.String(), "it is not well formed")
	}
	return decoded, nil
}

func missing(p *part) error { return shown.Invalid(p.String(), "it is missing") }

func ambiguous(p *part) error {
	return shown.Invalid(p.String(), "it can be read in more than one way")
}

func only(p *part, values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", missing(p)
	case 1:
		return values[0], nil
	}
	return "", ambiguous(p)
}

// overriding is the name of a parameter by which many upstreams take a POST for a request of another method.
const overriding = "_method"

// plain refuses a POST that some upstream takes for a request of another method: nobody would be shown what it does.
func (v *reader) plain() error {
	if v.request.Method != post {
		return nil
	}
	if err := v.parseQuery(); err != nil {
		return err
	}
	p := &part{source: fromMethod}
	mediaType, _, _ := mime.ParseMediaType(strings.Join(v.request.Header("Content-Type"), ","))
	if has(v.query, overriding) {
		return ambiguous(p)
	}
	switch {
	case isJSON(mediaType) && v.parseJSON() != nil: // which concerns nobody else unless something of it is shown
		if strings.Contains(lower(string(v.request.Body)), lower(overriding)) {
			return ambiguous(p)
		}
		return nil
	case mediaType == formType, isJSON(mediaType):
		return v.notInBody(p, overriding)
	}
	return nil
}

// queryField returns a parameter of the query. Many upstreams look for a name in the query and in the body, in whichever order, so it
// stands in one of them alone.
func (v *reader) queryField(p *part) (string, error) {
	if err := v.parseQuery(); err != nil {
		return "", err
	}
	if err := v.notInBody(p, p.name); err != nil {
		return "", err
	}
	return pair(p, v.query)
}

// notInBody refuses a body in which some upstream may find a name: a form or an object of JSON that has it, and one of which nothing is
// known, as a form in parts or a body without a type.
func (v *reader) notInBody(p *part, name string) error {
	if len(v.request.Body) == 0 {
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(strings.Join(v.request.Header("Content-Type"), ","))
	switch {
	case err != nil, strings.HasPrefix(mediaType, "multipart/"), len(v.request.Header("Content-Encoding")) > 0:
		return ambiguous(p)
	case mediaType == formType:
		if err := v.parseForm(); err != nil {
			return err
		}
		if has(v.form, name) {
			return ambiguous(p)
		}
	case isJSON(mediaType):
		if err := v.parseJSON(); err != nil {
			return err
		}
		if has(v.object, name) {
			return ambiguous(p)
		}
	}
	return nil
}

func isJSON(mediaType string) bool {
	return mediaType == jsonType || strings.HasSuffix(mediaType, "+json")
}

func (v *reader) parseQuery() (err error) {
	if v.query != nil {
		return nil
	}
	if v.query, err = url.ParseQuery(v.request.Query); err != nil {
		return shown.Invalid("query", "it is not well formed")
	}
	return nil
}

func (v *reader) parseForm() (err error) {
	if v.form != nil {
		return nil
	}
	if v.form, err = url.ParseQuery(string(v.request.Body)); err != nil {
		return shown.Invalid("form", "it is not well formed")
	}
	return nil
}

// has reports whether a name stands among others in any form that some upstream takes for it.
func has[V any](values map[string]V, name string) bool {
	want := folded(name)
	for other := range values {
		if folded(other) == want {
			return true
		}
	}
	return false
}

// hasWithin reports whether a name, or a part of what it names, stands among others in any form that some upstream takes for it.
func hasWithin(values url.Values, name string) bool {
	for other := range values {
		if i := strings.IndexByte(other, '.'); i > 0 && folded(other[:i]) == folded(name) {
			return true
		}
	}
	return has(values, name)
}

// pair returns the one value of a name, where nothing else stands that an upstream might take for the same name: many do not
// tell upper from lower case, or make lists of what ends in brackets and one name of what differs by a dot, a blank or a bracket.
func pair(p *part, values url.Values) (string, error) {
	want := folded(p.name)
	for name := range values {
		if name != p.name && folded(name) == want {
			return "", ambiguous(p)
		}
	}
	return only(p, values[p.name])
}

// folded returns the one form of all names that some upstream takes for the same.
func folded(name string) string {
	if i := strings.IndexByte(name, '['); i > 0 {
		name = name[:i]
	}
	return strings.NewReplacer(".", "_", " ", "_", "-", "_", "\x00", "").Replace(lower(strings.TrimSpace(name)))
}

// lower folds case as encoding/json and others do when they look for a name, so that U+212A is a k.
func lower(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// content refuses a body that is not of the media type that a field stands in, in UTF-8 and as it is.
func (v *reader) content(p *part, is func(mediaType string) bool) error {
	types := v.request.Header("Content-Type")
	if len(types) != 1 || len(v.request.Header("Content-Encoding")) > 0 {
		return shown.Invalid(p.String(), "the body is not of one type, or is encoded")
	}
	mediaType, params, err := mime.ParseMediaType(types[0])
	if charset, set := params["charset"]; err != nil || !is(mediaType) || set && !strings.EqualFold(charset, "utf-8") {
		return shown.Invalid(p.String(), "the body is of another type")
	}
	return nil
}

func (v *reader) formField(p *part) (string, error) {
	if err := v.content(p, func(t string) bool { return t == formType }); err != nil {
		return "", err
	}
	if err := v.parseForm(); err != nil {
		return "", err
	}
	if err := v.parseQuery(); err != nil {
		return "", err
	}
	if has(v.query, p.name) {
		return "", ambiguous(p)
	}
	return pair(p, v.form)
}

// parseJSON reads a body that is one object of JSON.
func (v *reader) parseJSON() error {
	if v.object != nil {
		return nil
	}
	if err := jose.UnmarshalObject(v.request.Body, &v.object); err != nil {
		return shown.Invalid("json", "the body is not one object of JSON that is read in one way only")
	}
	return nil
}

// jsonField returns a string, a number as it was written (see [oauth.PlainNumber]), true or false. The body is read strictly (RFC 7493):
// whoever reads it behind us cannot read another value; and many look in the query too.
func (v *reader) jsonField(p *part) (string, error) {
	if err := v.content(p, isJSON); err != nil {
		return "", err
	}
	if err := v.parseJSON(); err != nil {
		return "", err
	}
	if err := v.parseQuery(); err != nil {
		return "", err
	}
	object := v.object
	names := strings.Split(p.name, ".")
	if hasWithin(v.query, names[0]) {
		return "", ambiguous(p)
	}
	for i, name := range names {
		raw, err := member(p, object, name)
		if err != nil {
			return "", err
		}
		if i == len(names)-1 {
			return scalar(p, raw)
		}
		if object, err = within(p, raw); err != nil {
			return "", err
		}
	}
	return "", missing(p)
}

// within returns the members of an object, or the elements of an array by their numbers.
func within(p *part, raw json.RawMessage) (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if raw[0] == '{' {
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, missing(p)
		}
		return members, nil
	}
	var elements []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
		return nil, missing(p)
	}
	for i, element := range elements {
		members[strconv.Itoa(i)] = element
	}
	return members, nil
}

func member(p *part, object map[string]json.RawMessage, name string) (json.RawMessage, error) {
	want := lower(name)
	for other := range object {
		if other != name && lower(other) == want {
			return nil, ambiguous(p)
		}
	}
	raw, found := object[name]
	if !found || len(raw) == 0 {
		return nil, missing(p)
	}
	return raw, nil
}

func scalar(p *part, raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", missing(p)
		}
		return text, nil
	case 'n':
		return "", missing(p)
	case '{', '[':
		return "", shown.Invalid(p.String(), "it is not a single value")
	case 't', 'f':
		return string(raw), nil
	}
	if !oauth.PlainNumber(string(raw)) {
		return "", shown.Invalid(p.String(), "it is a number that is not read in one way only")
	}
	return string(raw), nil
}
