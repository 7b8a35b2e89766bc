// SPDX-License-Identifier: Apache-2.0

package apidocs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// document is what of OpenAPI 3.1 the page shows.
type document struct {
	Info struct {
		Title       string `json:"title"`
		Summary     string `json:"summary"`
		Description string `json:"description"`
	} `json:"info"`
	Servers []struct {
		URL string `json:"url"`
	} `json:"servers"`
	Tags []struct {
		Name string `json:"name"`
	} `json:"tags"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]schema    `json:"schemas"`
		Parameters map[string]parameter `json:"parameters"`
		Responses  map[string]response  `json:"responses"`
	} `json:"components"`
}

type operation struct {
	ID          string                `json:"operationId"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Tags        []string              `json:"tags"`
	Security    []map[string][]string `json:"security"`
	Parameters  []parameter           `json:"parameters"`
	RequestBody *struct {
		Content map[string]content `json:"content"`
	} `json:"requestBody"`
	Responses map[string]response `json:"responses"`
}

type parameter struct {
	Ref         string `json:"$ref"`
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Schema      schema `json:"schema"`
}

type response struct {
	Ref         string             `json:"$ref"`
	Description string             `json:"description"`
	Content     map[string]content `json:"content"`
}

type content struct {
	Schema schema `json:"schema"`
}

type schema struct {
	Ref         string            `json:"$ref"`
	Type        any               `json:"type"`
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Enum        []any             `json:"enum"`
	Items       *schema           `json:"items"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
}

// Handler shows one description.
type Handler struct {
	pages *web.Renderer
	page  web.APIPage
}

// New reads a description (OpenAPI 3.1), which is at the path download for programs. A reference to what is not there is an
// error. The codes of problems are those of package wire.
func New(description []byte, download string, pages *web.Renderer) (*Handler, error) {
	var doc document
	if err := json.Unmarshal(description, &doc); err != nil {
		return nil, fmt.Errorf("reading the description of the API: %w", err)
	}
	if len(doc.Servers) == 0 || pages == nil {
		return nil, errors.New("reading the description of the API: no server, or nobody to render it")
	}
	h := &Handler{pages: pages, page: web.APIPage{
		Locale: "en", Title: doc.Info.Title, Lead: doc.Info.Summary, Text: strings.Split(doc.Info.Description, "\n\n"), Server: doc.Servers[0].URL,
		Download: download, Problems: problems(),
	}}
	calls, err := doc.calls()
	if err != nil {
		return nil, fmt.Errorf("reading the description of the API: %w", err)
	}
	for _, tag := range doc.Tags {
		h.page.Groups = append(h.page.Groups, web.APIGroup{Name: tag.Name, Calls: calls[tag.Name]})
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		s := doc.Components.Schemas[name]
		h.page.Schemas = append(h.page.Schemas, web.APISchema{Name: name, Text: s.Description, Members: s.members("")})
	}
	return h, nil
}

// ServeHTTP shows the page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.pages.Render(w, r, http.StatusOK, h.page)
}

var methods = []string{"get", "post", "patch", "put", "delete"}

// calls returns all calls by their first tag.
func (d *document) calls() (map[string][]web.APICall, error) {
	all := map[string][]web.APICall{}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		item := d.Paths[path]
		var common []parameter
		if raw, ok := item["parameters"]; ok {
			if err := json.Unmarshal(raw, &common); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		for _, method := range methods {
			raw, ok := item[method]
			if !ok {
				continue
			}
			var o operation
			if err := json.Unmarshal(raw, &o); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			call, err := d.call(method, path, append(slices.Clone(common), o.Parameters...), &o)
			if err != nil || len(o.Tags) == 0 {
				return nil, errors.Join(fmt.Errorf("%s %s is not described well", method, path), err)
			}
			all[o.Tags[0]] = append(all[o.Tags[0]], call)
		}
	}
	return all, nil
}

func (d *document) call(method, path string, inputs []parameter, o *operation) (web.APICall, error) {
	call := web.APICall{ID: o.ID, Method: strings.ToUpper(method), Path: path, Summary: o.Summary, Text: o.Description}
	for _, way := range o.Security {
		call.Scopes = append(call.Scopes, way["token"]...)
	}
	for _, p := range inputs {
		if p.Ref != "" {
			found, ok := d.Components.Parameters[last(p.Ref)]
			if !ok {
				return call, fmt.Errorf("%s is not there", p.Ref)
			}
			p = found
		}
		call.Inputs = append(call.Inputs, web.APIMember{
			Name: p.Name, Type: p.In + ", " + p.Schema.kind(), Text: p.Description, Required: p.Required,
		})
	}
	if o.RequestBody != nil {
		for _, kind := range slices.Sorted(maps.Keys(o.RequestBody.Content)) {
			call.BodyType, call.Body = kind, last(o.RequestBody.Content[kind].Schema.Ref)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		answer := o.Responses[status]
		if answer.Ref != "" {
			found, ok := d.Components.Responses[last(answer.Ref)]
			if !ok {
				return call, fmt.Errorf("%s is not there", answer.Ref)
			}
			answer = found
		}
		shown := web.APIAnswer{Status: status, Text: answer.Description}
		for _, kind := range slices.Sorted(maps.Keys(answer.Content)) {
			shown.Body = last(answer.Content[kind].Schema.Ref)
		}
		call.Answers = append(call.Answers, shown)
	}
	return call, nil
}

// members lists the members of an object, and of objects that stand in it without a name.
func (s *schema) members(prefix string) []web.APIMember {
	var all []web.APIMember
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		m := web.APIMember{Name: prefix + name, Type: p.kind(), Text: p.Description, Required: slices.Contains(s.Required, name)}
		inner := &p
		if p.Items != nil {
			inner, m.Name = p.Items, m.Name+"[]"
		}
		m.Schema = last(inner.Ref)
		all = append(all, m)
		all = append(all, inner.members(m.Name+".")...)
	}
	return all
}

// kind says what a value is.
func (s *schema) kind() string {
	switch {
	case s.Ref != "":
		return last(s.Ref)
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			text, err := json.Marshal(v)
			if err != nil { // cannot be: it was read from JSON
				continue
			}
			values = append(values, string(text))
		}
		return "one of " + strings.Join(values, ", ")
	case s.Items != nil:
		return "array of " + s.Items.kind()
	case s.Format != "":
		return s.Format
	}
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		var values []string
		for _, v := range t {
			values = append(values, fmt.Sprint(v))
		}
		return strings.Join(values, " or ")
	}
	return "anything"
}

// last is the name at the end of a reference.
func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// problems are all codes, by status and then by name.
func problems() []web.APIProblem {
	var all []web.APIProblem
	for code, status := range wire.Codes() {
		all = append(all, web.APIProblem{
			Code: string(code), Status: strconv.Itoa(status) + " " + http.StatusText(status), Title: wire.Title(code),
		})
	}
	slices.SortFunc(all, func(a, b web.APIProblem) int {
		return cmp.Or(strings.Compare(a.Status, b.Status), strings.Compare(a.Code, b.Code))
	})
	return all
}
