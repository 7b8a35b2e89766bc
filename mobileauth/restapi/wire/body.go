// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// MaxBody bounds the body of a request in bytes.
const MaxBody = 64 << 10

// Content types of bodies.
const (
	JSON       = "application/json"
	MergePatch = "application/merge-patch+json"
)

// Read returns the body of a request of the given content type, which is UTF-8 and has no content coding. Its errors are
// problems.
func Read(r *http.Request, contentType string) ([]byte, error) {
	if err := checkType(r.Header, contentType); err != nil {
		return nil, err
	}
	if r.ContentLength > MaxBody {
		return nil, New(BodyTooLarge, fmt.Sprintf("at most %d bytes are taken", MaxBody))
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	var tooLarge *http.MaxBytesError
	switch {
	case len(body) > MaxBody || errors.As(err, &tooLarge):
		return nil, New(BodyTooLarge, fmt.Sprintf("at most %d bytes are taken", MaxBody))
	case err != nil:
		return nil, New(InvalidRequest, "the body could not be read").Because(err)
	}
	return body, nil
}

func checkType(h http.Header, want string) error {
	refused := New(UnsupportedMedia, "send "+want+" without a content coding")
	types := h["Content-Type"]
	if len(types) != 1 || len(h["Content-Encoding"]) > 0 {
		return refused
	}
	name, params, err := mime.ParseMediaType(types[0])
	charset, given := params["charset"]
	if err != nil || name != want || (given && !strings.EqualFold(charset, "utf-8")) {
		return refused
	}
	return nil
}

// Decode reads one JSON object into a pointer to a struct, strictly: UTF-8, no member twice, none that the struct does not have
// in exactly that case, none that is null where the field is no pointer, bounded depth and width (RFC 7493). Its errors are
// problems that name the members; they repeat no value.
func Decode(body []byte, into any) error {
	var members map[string]json.RawMessage
	if err := jose.UnmarshalObject(body, &members); err != nil {
		return New(InvalidBody, "the body is not one JSON object, or has a member twice, or is too deep").Because(err)
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return New(InvalidBody, "the body is not JSON").Because(err)
	}
	found := inspector{}
	found.inspect(value, reflect.TypeOf(into).Elem(), "")
	if len(found.params) > 0 {
		return &Problem{Code: InvalidBody, Detail: "the body has members that this call does not take", Params: found.params}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return New(InvalidBody, "a member is of another type than this call takes").Because(err)
	}
	return nil
}

// maxParams is how many faults are listed.
const maxParams = 20

// inspector compares a JSON value with the type that is to hold it.
type inspector struct{ params []Param }

func (i *inspector) add(path, reason string) {
	if len(i.params) < maxParams {
		i.params = append(i.params, Param{path, reason})
	}
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (i *inspector) inspect(value any, t reflect.Type, path string) {
	if pointer := reflect.PointerTo(t); pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler) {
		return // it judges for itself
	}
	if t.Kind() == reflect.Pointer {
		if value != nil {
			i.inspect(value, t.Elem(), path)
		}
		return
	}
	switch v := value.(type) {
	case map[string]any:
		i.object(v, t, path)
	case []any:
		if t.Kind() != reflect.Slice {
			i.add(path, "want "+kindOf(t))
			return
		}
		for n, element := range v {
			i.inspect(element, t.Elem(), fmt.Sprintf("%s[%d]", path, n))
		}
	default:
		i.scalar(value, t, path)
	}
}

func (i *inspector) object(members map[string]any, t reflect.Type, path string) {
	switch t.Kind() {
	case reflect.Map:
		for _, name := range slices.Sorted(maps.Keys(members)) {
			i.inspect(members[name], t.Elem(), fmt.Sprintf("%s[%q]", path, Clip(name)))
		}
	case reflect.Struct:
		fields := fieldsOf(t)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			field, ok := fields[name]
			if !ok {
				i.add(join(path, Clip(name)), "is not a member of this call")
				continue
			}
			i.inspect(members[name], field, join(path, name))
		}
	default:
		i.add(path, "want "+kindOf(t))
	}
}

func (i *inspector) scalar(value any, t reflect.Type, path string) {
	ok := false
	switch v := value.(type) {
	case string:
		ok = t.Kind() == reflect.String
	case bool:
		ok = t.Kind() == reflect.Bool
	case json.Number:
		n, err := v.Int64()
		ok = err == nil && t.Kind() == reflect.Int && int64(int(n)) == n && !strings.ContainsAny(v.String(), ".eE")
	}
	if !ok {
		i.add(path, "want "+kindOf(t))
	}
}

func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "an array"
	case reflect.Pointer:
		return kindOf(t.Elem())
	}
	return "an object"
}

// fieldsOf returns the members of a struct by their names in JSON.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.IsExported() && name != "" && name != "-" {
			fields[name] = field.Type
		}
	}
	return fields
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Clip shortens a name that the caller chose, before it is sent back to them.
func Clip(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}
