// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"bytes"
	_ "embed" // the description of the API
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the description of the API (OpenAPI 3.1) for a server at the given URL.
func OpenAPI(server string) []byte {
	name, err := json.Marshal(server)
	if err != nil { // cannot be: it is a text
		return bytes.Clone(openAPI)
	}
	return bytes.Replace(openAPI, []byte(`"https://auth.example.com/api/v1"`), name, 1)
}

// description serves the description to anybody: it tells nothing that is not published.
func (a *API) description(c *call) error {
	body := OpenAPI(a.base)
	c.status = http.StatusOK
	h := c.w.Header()
	h.Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(body) // nobody is left to tell
	return nil
}

func (a *API) docs(c *call) error {
	if a.config.Docs == nil {
		return wire.New(wire.NotFound, "the description is at openapi.json")
	}
	c.status = http.StatusOK
	a.config.Docs.ServeHTTP(c.w, c.r)
	return nil
}
