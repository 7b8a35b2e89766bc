// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/people"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
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

// rehearse does with the configured users what the first start does, in a store that nobody keeps: it finds a password that is
// not set, or too short, which validating does not look at because users who exist already need none.
func rehearse(ctx context.Context, users []people.Config) error {
	db, err := memstore.Open(memstore.Config{Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it is in memory
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 8, Time: 1, Threads: 1}})
	if err != nil {
		return err
	}
	store, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: time.Now})
	if err != nil {
		return err
	}
	resolve := func(text, _ string) (string, error) { return caddy.NewReplacer().ReplaceOrErr(text, true, true) }
	if err := people.Seed(ctx, store, users, resolve); err != nil {
		return fmt.Errorf("the first start would fail: %w", err)
	}
	return nil
}
