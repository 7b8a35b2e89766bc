// SPDX-License-Identifier: Apache-2.0

package storagecmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/caddymodule/stores"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

// place is a store that somebody has named.
type place struct {
	engine pool.Engine
	// key names the store as the server does.
	key string
	// sealer is nil where it is not known.
	sealer storage.Sealer
}

// String names the place without a password.
func (p *place) String() string { return p.key }

// find finds the store that a text names: a configuration that has one, "badger:" and a folder, or a DSN of PostgreSQL. Placeholders stand
// for what they stand for. No text is the configuration of the command.
func (c *command) find(text string) (*place, error) {
	text, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		return nil, err
	}
	var p *place
	switch dir, isBadger := strings.CutPrefix(text, "badger:"); {
	case isBadger:
		p, err = c.named(&stores.Badger{Dir: dir})
	case isDSN(text):
		p, err = c.named(&stores.Postgres{DSN: text, Schema: c.schema})
	default:
		p, err = c.configured(cmp.Or(text, c.config))
	}
	if err != nil {
		return nil, fmt.Errorf("finding the store: %w", err)
	}
	p.key, err = p.engine.Key()
	return p, err
}

// words is the beginning of a DSN that is no URL.
var words = regexp.MustCompile(`^\s*[a-z_]+\s*=`)

// isDSN reports whether a text is a DSN of libpq's, as a URL or as words, and not a file.
func isDSN(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") || words.MatchString(text)
}

// named is a store without a configuration: what seals its values is the key file beside it, or --seal-key.
func (c *command) named(engine interface {
	pool.Engine
	caddy.Provisioner
}) (*place, error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: c.cmd.Context()})
	defer cancel()
	if err := engine.Provision(ctx); err != nil {
		return nil, err
	}
	sealer, err := sealerOf(engine, c.sealKeys)
	return &place{engine: engine, sealer: sealer}, err
}

// configured is the store of a configuration.
func (c *command) configured(file string) (*place, error) {
	adapter := c.adapter
	if file != c.config {
		adapter = ""
	}
	data, err := c.load(c.cmd, file, adapter)
	if err != nil {
		return nil, err
	}
	var config struct {
		Apps struct {
			Gatehouse *struct {
				StorageRaw json.RawMessage `json:"storage" caddy:"namespace=gatehouse.storage inline_key=engine"`
				SealKeys   []string        `json:"seal_keys"`
			} `json:"gatehouse"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	app := config.Apps.Gatehouse
	if app == nil {
		return nil, errors.New("the configuration has no gatehouse block")
	}
	if len(app.StorageRaw) == 0 {
		app.StorageRaw = json.RawMessage(`{"engine":"badger"}`)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: c.cmd.Context()})
	defer cancel()
	module, err := ctx.LoadModule(app, "StorageRaw")
	if err != nil {
		return nil, err
	}
	engine, ok := module.(pool.Engine)
	if !ok {
		return nil, fmt.Errorf("%T is no storage engine", module)
	}
	keys := app.SealKeys
	if len(c.sealKeys) > 0 {
		keys = c.sealKeys
	}
	sealer, err := sealerOf(engine, keys)
	return &place{engine: engine, sealer: sealer}, err
}

// sealerOf returns what seals the values of a store, nil where that is not known. It makes no key: one that is made for a store which others
// are to fill opens nothing.
func sealerOf(engine pool.Engine, texts []string) (storage.Sealer, error) {
	if len(texts) == 0 {
		file, ok := engine.(interface{ KeyFile() string })
		if !ok {
			return nil, nil
		}
		if _, err := os.Stat(file.KeyFile()); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return engine.Sealer()
	}
	var keys []seal.Key
	for _, text := range texts {
		text, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
		if err != nil {
			return nil, fmt.Errorf("the sealing key: %w", err)
		}
		key, err := seal.ParseKey(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return seal.New(keys...)
}

// open opens a store, by the clock of the command. One that is only read has to be there.
func (c *command) open(ctx context.Context, p *place, toRead bool) (storage.DB, error) {
	if b, ok := p.engine.(*stores.Badger); ok && toRead {
		present, err := badgerstore.Present(b.Dir)
		if err == nil && !present {
			err = fmt.Errorf("there is no store in %q", filepath.Clean(b.Dir))
		}
		if err != nil {
			return nil, err
		}
	}
	db, err := p.engine.Open(ctx, pool.Options{Now: c.clock, Logger: c.logger})
	if _, locked := errors.AsType[*badgerstore.LockedError](err); locked {
		return nil, fmt.Errorf("%w; if that is the server, say with --address or --config where its admin API is", err)
	}
	return db, err
}
