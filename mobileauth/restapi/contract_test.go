// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
)

// contract holds requests and answers against the description that is served.
type contract struct {
	doc      map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

const docURL = "https://auth.example.com/api/v1/openapi.json"

var theContract = sync.OnceValues(func() (*contract, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(restapi.OpenAPI(issuer + restapi.Path)))
	if err != nil {
		return nil, err
	}
	root, ok := doc.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the description is %T", doc)
	}
	c := &contract{doc: root, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	return c, c.compiler.AddResource(docURL, doc)
})

// node follows a pointer into the description, and the reference that stands there.
func (c *contract) node(path ...string) (node map[string]any, pointer string) {
	var current any = c.doc
	for _, name := range path {
		m, ok := current.(map[string]any)
		if !ok {
			return nil, ""
		}
		current = m[name]
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	node, _ = current.(map[string]any)
	if ref, ok := node["$ref"].(string); ok {
		names := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		return c.node(names...)
	}
	return node, pointer
}

func (c *contract) validate(pointer string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	schema, ok := c.schemas[pointer]
	if !ok {
		var err error
		if schema, err = c.compiler.Compile(docURL + "#" + pointer); err != nil {
			return fmt.Errorf("compiling %s: %w", pointer, err)
		}
		c.schemas[pointer] = schema
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// template returns the path of the description that a request is for, the one with the fewest variables.
func (c *contract) template(path string) string {
	paths, _ := c.node("paths")
	best, variables := "", 99
	for name := range paths {
		want, got := strings.Split(name, "/"), strings.Split(strings.TrimPrefix(path, restapi.Path), "/")
		fits, n := len(want) == len(got), 0
		for i := 0; fits && i < len(want); i++ {
			if strings.HasPrefix(want[i], "{") {
				n++
				continue
			}
			fits = want[i] == got[i]
		}
		if fits && n < variables {
			best, variables = name, n
		}
	}
	return best
}

// check fails the test when the answer, or a request that was accepted, is not as described. What the description does not know
// (an unknown path, a method that is not there) has to be a problem all the same.
func (c *contract) check(t testing.TB, r *http.Request, body string, w *httptest.ResponseRecorder) {
	t.Helper()
	at := fmt.Sprintf("%s %s: %d", r.Method, r.URL, w.Code)
	if w.Header().Get("X-Request-Id") == "" {
		t.Errorf("%s has no request id", at)
	}
	method := strings.ToLower(r.Method)
	if method == "head" {
		method = "get" // whose answer it has; the server leaves the body out
	}
	template := c.template(r.URL.Path)
	operation, _ := c.node("paths", template, method)
	if template == "" || operation == nil {
		if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s is not described", at)
		}
		c.checkBody(t, at, "/components/responses/NotFound", w)
		return
	}
	response, pointer := c.node("paths", template, method, "responses", fmt.Sprint(w.Code))
	if response == nil {
		t.Errorf("%s is not a described answer: %s", at, w.Body)
		return
	}
	c.checkHeaders(t, at, pointer, w.Header())
	c.checkBody(t, at, pointer, w)
	if w.Code < 300 {
		c.checkRequest(t, at, template, method, r, body)
	}
}

func (c *contract) checkHeaders(t testing.TB, at, pointer string, h http.Header) {
	t.Helper()
	headers, _ := c.node(append(split(pointer), "headers")...)
	for name := range headers {
		header, where := c.node(append(split(pointer), "headers", name)...)
		value := h.Get(name)
		if required, _ := header["required"].(bool); value == "" {
			if required {
				t.Errorf("%s has no %s", at, name)
			}
			continue
		}
		text, _ := json.Marshal(value)
		if err := c.validate(where+"/schema", text); err != nil {
			t.Errorf("%s has %s %q: %v", at, name, value, err)
		}
	}
}

func split(pointer string) []string {
	names := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range names {
		names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(names[i])
	}
	return names
}

func (c *contract) checkBody(t testing.TB, at, pointer string, w *httptest.ResponseRecorder) {
	t.Helper()
	content, where := c.node(append(split(pointer), "content")...)
	if content == nil {
		if w.Body.Len() > 0 {
			t.Errorf("%s has a body: %s", at, w.Body)
		}
		return
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	if content[kind] == nil {
		t.Errorf("%s is %q", at, kind)
		return
	}
	if kind == "application/x-ndjson" {
		lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
		for _, line := range lines[:len(lines)-1] { // the last one is the end
			if err := c.validate("/components/schemas/Event", []byte(line)); err != nil {
				t.Errorf("%s: %v\n%s", at, err, line)
			}
		}
		return
	}
	if !strings.HasSuffix(kind, "/json") && !strings.HasSuffix(kind, "+json") {
		return
	}
	if err := c.validate(where+"/"+strings.ReplaceAll(kind, "/", "~1")+"/schema", w.Body.Bytes()); err != nil {
		t.Errorf("%s: %v\n%s", at, err, w.Body)
	}
}

// checkRequest holds a request that was accepted against the description: whoever writes by it must not be refused, and whoever
// generates code from it must be able to ask for all there is.
func (c *contract) checkRequest(t testing.TB, at, template, method string, r *http.Request, body string) {
	t.Helper()
	known := c.parameters(template, method)
	for name := range r.URL.Query() {
		if !slices.Contains(known, "query "+name) {
			t.Errorf("%s: the parameter %q is not described", at, name)
		}
	}
	for _, name := range []string{"If-Match", "If-None-Match", "Idempotency-Key"} {
		if r.Header.Get(name) != "" && !slices.Contains(known, "header "+name) {
			t.Errorf("%s: the header %s is not described", at, name)
		}
	}
	if body == "" {
		return
	}
	content, where := c.node("paths", template, method, "requestBody", "content")
	kind := r.Header.Get("Content-Type")
	if content[kind] == nil {
		t.Errorf("%s takes a body of type %q, which is not described", at, kind)
		return
	}
	if err := c.validate(where+"/"+strings.ReplaceAll(kind, "/", "~1")+"/schema", []byte(body)); err != nil {
		t.Errorf("%s takes a body that is not as described: %v", at, err)
	}
}

func (c *contract) parameters(template, method string) []string {
	var known []string
	operation, _ := c.node("paths", template, method)
	list, _ := operation["parameters"].([]any)
	for _, p := range list {
		m, _ := p.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			m, _ = c.node(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		known = append(known, fmt.Sprint(m["in"], " ", m["name"]))
	}
	return known
}
