// SPDX-License-Identifier: Apache-2.0

package storagecmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/caddymodule/storageadmin"
	"github.com/gatehouse-id/gatehouse/storage"
)

// admin returns where the admin API is, as "caddy reload" finds it.
func (c *command) admin() (string, error) {
	if c.address != "" {
		return c.address, nil
	}
	data, err := c.load(c.cmd, c.config, c.adapter)
	if err != nil && c.config != "" {
		return "", err
	}
	file := c.config
	if err == nil {
		file = cmp.Or(file, "Caddyfile")
	}
	return caddycmd.DetermineAdminAPIAddress("", data, file, c.adapter)
}

// ask sends a request to the running server.
func (c *command) ask(method, path string) (*http.Response, error) {
	address, err := c.admin()
	if err != nil {
		return nil, fmt.Errorf("finding the admin API: %w", err)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, path, nil, nil)
	if err == nil {
		return response, nil
	}
	if _, document, ok := strings.Cut(err.Error(), "{"); ok {
		var problem operator.Problem
		if json.Unmarshal([]byte("{"+document), &problem) == nil && problem.Detail != "" {
			return nil, errors.New(problem.Detail)
		}
	}
	return nil, fmt.Errorf("asking the server at %s: %w", address, err)
}

// held reports whether a running server has the store open. One that does not answer, or is none of ours, has not.
func (c *command) held(p *place) bool {
	response, err := c.ask(http.MethodGet, storageadmin.Path)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	var info storageadmin.Info
	return json.NewDecoder(response.Body).Decode(&info) == nil && info.Store == p.key
}

var errHeld = errors.New("a running server uses the store: stop it first (every node of it)")

// free refuses a store that a running server has open.
func (c *command) free(p *place) error {
	if c.held(p) {
		return fmt.Errorf("%s: %w", p, errHeld)
	}
	return nil
}

// stream has the running server send an export of its store.
func (c *command) stream() (io.ReadCloser, error) {
	response, err := c.ask(http.MethodGet, storageadmin.Path+"/export")
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// openQuiet opens a store that is to be filled, and refuses one that a node somewhere uses, whose admin API nobody has named.
func (c *command) openQuiet(ctx context.Context, p *place) (storage.DB, error) {
	db, err := c.open(ctx, p, false)
	if err != nil {
		return nil, err
	}
	used, err := pool.InUse(ctx, p.engine, db)
	if err == nil && used {
		err = fmt.Errorf("%s: %w", p, errElsewhere)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

var errElsewhere = errors.New("a node uses the store, on this machine or another: stop every node of it first")
