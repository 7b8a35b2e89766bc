// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
)

// client speaks to the admin API and prints what it answers.
type client struct {
	address string
	json    bool
	cmd     *cobra.Command
}

func newClient(cmd *cobra.Command) (*client, error) {
	flags := cmd.Flags()
	address, err := flags.GetString("address")
	if err != nil {
		return nil, err
	}
	config, err := flags.GetString("config")
	if err != nil {
		return nil, err
	}
	adapter, err := flags.GetString("adapter")
	if err != nil {
		return nil, err
	}
	asJSON, err := flags.GetBool("json")
	if err != nil {
		return nil, err
	}
	if address == "" {
		data, err := loadConfig(cmd, config, adapter)
		if err != nil && (config != "" || !errors.Is(err, errNoConfig)) {
			return nil, fmt.Errorf("finding the admin API: %w", err)
		}
		if data != nil {
			config = cmp.Or(config, usualFile)
		}
		if address, err = caddycmd.DetermineAdminAPIAddress("", data, config, adapter); err != nil {
			return nil, fmt.Errorf("finding the admin API: %w", err)
		}
	}
	return &client{address: address, json: asJSON, cmd: cmd}, nil
}

// call sends a request and decodes the answer into result; nil ignores it.
func (c *client) call(method, path string, request, result any) error {
	response, err := c.send(method, path, "application/json", request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(result); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}

func (c *client) send(method, path, contentType string, request any) (*http.Response, error) {
	var content io.Reader
	switch request := request.(type) {
	case nil:
	case io.Reader:
		content = request
	default:
		data, err := json.Marshal(request)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	response, err := caddycmd.AdminAPIRequest(c.address, method, path, http.Header{"Content-Type": {contentType}}, content)
	if err != nil {
		return nil, explain(c.address, err)
	}
	return response, nil
}

// explain gives the server's own words where it answered with a problem document, which Caddy's client wraps in text of
// its own, and otherwise names the server that did not answer.
func explain(address string, err error) error {
	if _, document, ok := strings.Cut(err.Error(), "{"); ok {
		var problem operator.Problem
		if json.Unmarshal([]byte("{"+document), &problem) == nil && problem.Detail != "" {
			return errors.New(problem.Detail)
		}
	}
	return fmt.Errorf("asking the server at %s (is it running?): %w", address, err)
}

// print writes a result as JSON, or as a table when it is for people.
func (c *client) print(result any, header string, rows func(add func(cells ...any))) error {
	out := c.cmd.OutOrStdout()
	if c.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if header != "" {
		_, _ = fmt.Fprintln(table, header) // a tabwriter keeps its errors for Flush
	}
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(table, "\t")
			}
			_, _ = fmt.Fprint(table, cell)
		}
		_, _ = fmt.Fprintln(table)
	})
	return table.Flush()
}

// hintMore says, beside the list, how it goes on.
func (c *client) hintMore(last string) {
	c.cmd.PrintErrf("there may be more: --after %s\n", last)
}
