// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

func (a *API) listApplications(c *call) error {
	if _, err := c.params(); err != nil {
		return err
	}
	return c.send(http.StatusOK, struct {
		Applications []mobileauth.Listing `json:"applications"`
	}{nonNil(a.config.Applications.List())})
}

func (a *API) showApplication(c *call) error {
	if _, err := c.params(); err != nil {
		return err
	}
	app, err := a.config.Applications.Find(c.r.PathValue("application"))
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, app)
}

// auditQuery reads what events are chosen.
func auditQuery(query map[string]string) (q audit.Query, err error) {
	q = audit.Query{
		Name: query["name"], Outcome: query["outcome"], Subject: query["user_id"], DeviceID: query["device_id"],
		Operation: query["operation_id"], ClientID: query["client_id"], By: query["by"],
	}
	if q.Since, err = wire.Instant(query, "since"); err != nil {
		return q, err
	}
	q.Until, err = wire.Instant(query, "until")
	return q, err
}

var auditParams = []string{"since", "until", "name", "outcome", "user_id", "device_id", "operation_id", "client_id", "by"}

func (a *API) queryAudit(c *call) error {
	query, p, err := c.paged(auditParams...)
	if err != nil {
		return err
	}
	q, err := auditQuery(query)
	if err != nil {
		return err
	}
	q.After, q.Limit = p.After, p.Limit
	found, err := a.config.Trail.Query(c.r.Context(), q)
	if err != nil {
		return err
	}
	answer := struct {
		Events []audit.Event `json:"events"`
		Next   string        `json:"next,omitempty"`
	}{Events: nonNil(found.Events)}
	if found.Next != "" {
		answer.Next = wire.Cursor(p.List, found.Next)
	}
	return c.send(http.StatusOK, answer)
}

// exportAudit streams events, one a line. The last line says whether it is all: a reader who does not find it has not got
// everything, whatever the connection said.
func (a *API) exportAudit(c *call) error {
	query, err := c.params(auditParams...)
	if err != nil {
		return err
	}
	q, err := auditQuery(query)
	if err != nil {
		return err
	}
	first := q
	first.Limit = 1
	if _, err := a.config.Trail.Query(c.r.Context(), first); err != nil {
		return err // what can be said before the first line, by its status
	}
	c.status = http.StatusOK
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	n, err := a.config.Trail.Export(c.r.Context(), q, c.w)
	end := struct {
		Complete bool `json:"export_complete"`
		Events   int  `json:"events"`
	}{err == nil, n}
	if err != nil {
		a.config.Logger.ErrorContext(c.r.Context(), "exporting the audit trail", "error", err, "client_id", c.caller.ClientID)
	}
	line, err := json.Marshal(end)
	if err != nil {
		return fmt.Errorf("ending an export: %w", err)
	}
	_, _ = c.w.Write(append(line, '\n')) // nobody is left to tell
	return nil
}
