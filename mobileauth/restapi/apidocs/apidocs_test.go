// SPDX-License-Identifier: Apache-2.0

package apidocs_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/apidocs"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

func pages(t testing.TB) *web.Renderer {
	t.Helper()
	r, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestThePageShowsTheAPI: every call, every object and every code, and each link leads to something on the page.
func TestThePageShowsTheAPI(t *testing.T) {
	t.Parallel()
	h, err := apidocs.New(restapi.OpenAPI("https://auth.example.com/api/v1"), "/api/v1/openapi.json", pages(t))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/docs", nil))
	body := w.Body.String()
	for _, want := range []string{
		"POST /operations/authorisation", "GET /users/{user}", "gatehouse:users:read", `id="schema-Operation"`, `id="version_mismatch"`,
		"Idempotency-Key", "fields[].value", "application/merge-patch+json", `lang="en"`, "https://auth.example.com/api/v1",
	} {
		if !strings.Contains(body, want) && !strings.Contains(body, strings.ReplaceAll(want, "+", "&#43;")) {
			t.Errorf("the page does not show %q", want)
		}
	}
	for code := range wire.Codes() {
		if !strings.Contains(body, `id="`+string(code)+`"`) {
			t.Errorf("the type of the problem %s leads nowhere", code)
		}
	}
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]]++; ids[m[1]] > 1 {
			t.Errorf("two elements have the id %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]] == 0 {
			t.Errorf("a link leads to #%s, which is not there", m[1])
		}
	}
	if regexp.MustCompile(`(?:src|href)="(?:https?:)?//`).MatchString(body) {
		t.Error("the page loads or links to something elsewhere")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const head = `{"servers":[{"url":"https://x"}],"tags":[{"name":"T"}],"paths":{"/p":{`
	for name, text := range map[string]string{
		"no JSON":              `{`,
		"no server":            `{}`,
		"an unknown parameter": head + `"get":{"tags":["T"],"parameters":[{"$ref":"#/components/parameters/x"}]}}}}`,
		"an unknown answer":    head + `"get":{"tags":["T"],"responses":{"200":{"$ref":"#/components/responses/x"}}}}}}`,
		"no tag":               head + `"get":{}}}}`,
		"a malformed call":     head + `"get":[]}}}`,
		"malformed parameters": head + `"parameters":{}}}}`,
	} {
		if _, err := apidocs.New([]byte(text), "/x", pages(t)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
