// SPDX-License-Identifier: Apache-2.0

package adapted

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// Config returns the configuration that a Caddyfile stands for. It logs nothing. The modules that the Caddyfile names are for the
// caller to import.
func Config(caddyfile string) (*caddy.Config, error) {
	text, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	config := new(caddy.Config)
	if err := json.Unmarshal(text, config); err != nil {
		return nil, fmt.Errorf("reading what the Caddyfile was adapted to: %w", err)
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output":"discard"}`)}},
	}}
	return config, nil
}
