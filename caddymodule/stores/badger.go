// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

func init() { caddy.RegisterModule(Badger{}) }

// lockWait is how long a starting server waits for another process that still holds the folder, as in a restart.
const lockWait = 10 * time.Second

// Badger keeps records in an embedded Badger store. One process opens it at a time; several servers want PostgreSQL.
type Badger struct {
	// The folder. Default: "gatehouse" in Caddy's data directory.
	Dir string `json:"dir,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Badger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.storage.badger", New: func() caddy.Module { return new(Badger) }}
}

// Provision sets the default folder. It touches nothing on disk.
func (b *Badger) Provision(caddy.Context) error {
	b.Dir = caddy.NewReplacer().ReplaceAll(b.Dir, "")
	if b.Dir == "" {
		b.Dir = filepath.Join(caddy.AppDataDir(), "gatehouse")
	}
	return nil
}

// Key is the canonical path of the folder: options never make two stores of one folder.
func (b *Badger) Key() (string, error) {
	dir, err := badgerstore.CanonicalDir(b.Dir)
	return "badger:" + dir, err
}

// Open opens the folder, and waits a little for a process that is about to leave it.
func (b *Badger) Open(ctx context.Context, o pool.Options) (storage.DB, error) {
	return badgerstore.Open(ctx, badgerstore.Config{
		Dir: b.Dir, Now: o.Now, Logger: o.Logger, Observe: o.Observe, LockWait: lockWait,
	})
}

// Sealer seals with a key file beside the folder, made at the first start and readable by its owner alone. Beside a store
// that has been in use none is made: what is in it was sealed with another. It is called before Open.
func (b *Badger) Sealer() (storage.Sealer, error) {
	entries, err := os.ReadDir(b.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking into the store: %w", err)
	}
	path := b.KeyFile()
	if _, err := os.Stat(path); len(entries) > 0 && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the store %q is in use and its sealing key %q is gone: restore it, or name it with seal_key", b.Dir, path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the sealing key: %w", err)
	}
	key, err := seal.LoadOrCreateFile(path)
	if err != nil {
		return nil, err
	}
	return seal.New(key)
}

// KeyFile is the key file beside the folder.
func (b *Badger) KeyFile() string { return filepath.Clean(b.Dir) + ".key" }

// UnmarshalCaddyfile reads: badger [<folder>]
func (b *Badger) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	d.Args(&b.Dir)
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Interface guards.
var (
	_ pool.Engine           = (*Badger)(nil)
	_ caddy.Provisioner     = (*Badger)(nil)
	_ caddyfile.Unmarshaler = (*Badger)(nil)
)
