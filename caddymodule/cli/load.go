// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"
)

// usualFile is the configuration that Caddy's commands look for when none is named.
const usualFile = "Caddyfile"

// errNoConfig is returned where there is no configuration to look into.
var errNoConfig = errors.New("no configuration: name a file, or have a Caddyfile in this folder")

// loadConfig returns a configuration as JSON. It does what Caddy's own loader does, without its log lines: what a command
// prints is for people. Warnings of the adapter go to standard error.
func loadConfig(cmd *cobra.Command, file, adapter string) ([]byte, error) {
	if file == "" {
		file = usualFile
	}
	data, err := readConfig(cmd, file)
	if errors.Is(err, fs.ErrNotExist) && file == usualFile {
		return nil, errNoConfig
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if adapter == "" && !strings.HasSuffix(file, ".json") {
		adapter = "caddyfile"
	}
	if adapter == "" {
		return data, nil
	}
	adapts := caddyconfig.GetAdapter(adapter)
	if adapts == nil {
		return nil, fmt.Errorf("there is no adapter %q", adapter)
	}
	adapted, warnings, err := adapts.Adapt(data, map[string]any{"filename": file})
	for _, w := range warnings {
		cmd.PrintErrln(w.String())
	}
	return adapted, err
}

func readConfig(cmd *cobra.Command, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(file)
}

// validate provisions the configuration as "caddy validate" does: it opens nothing. Warnings go to standard error.
func validate(data []byte) error {
	var config caddy.Config
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{Level: "WARN", EncoderRaw: []byte(`{"format":"console"}`)}},
	}}
	return caddy.Validate(&config)
}
