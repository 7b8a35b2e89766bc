// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

// everybody is active.
type everybody struct{}

// Active knows nobody who is not.
func (everybody) Active(storage.Tx, string) error { return nil }

// measureDevices fills a store with users and devices while no server runs, and starts one on it.
func measureDevices(path string, o options) error {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	s, err := start(path, dir, phonesCaddyfile(""), "")
	if err != nil {
		return err
	}
	imported, err := s.importUsers(o.users)
	s.stop()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fill(dir, o.users); err != nil {
		return fmt.Errorf("storing devices: %w", err)
	}
	filled := time.Since(began)
	if s, err = start(path, dir, phonesCaddyfile(""), ""); err != nil {
		return err
	}
	defer s.stop()
	<-time.After(5 * time.Second) // for the garbage of the start to be given back
	resident, err := s.resident()
	fmt.Printf("  %d users (%.0f s) and as many devices (%.0f s): start %.2f s · resident %.0f MB · load of the machine %s\n",
		o.users, imported.Seconds(), filled.Seconds(), s.Took.Seconds(), float64(resident)/1e6, machineLoad())
	return err
}

// fill stores devices as a registration leaves them, with synchronous writes.
func fill(dir string, n int) (err error) {
	text, err := os.ReadFile(filepath.Join(dir, "data.key"))
	if err != nil {
		return err
	}
	key, err := seal.ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	sealer, err := seal.New(key)
	if err != nil {
		return err
	}
	ctx, logger := context.Background(), slog.New(slog.DiscardHandler)
	db, err := badgerstore.Open(ctx, badgerstore.Config{Dir: filepath.Join(dir, "data"), Now: time.Now, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	trail, err := audit.New(audit.Config{DB: db, Logger: logger, Now: time.Now})
	if err != nil {
		return err
	}
	devices, err := handset.New(handset.Config{DB: db, Sealer: sealer, Users: everybody{}, Audit: trail, Now: time.Now})
	if err != nil {
		return err
	}
	return each(n, 64, func(i int) error { return add(ctx, db, devices, i) })
}

// add stores one device of a user of its own.
func add(ctx context.Context, db storage.DB, devices *handset.Store, i int) error {
	keys, err := new(device.SoftStore).Create(ctx, "k")
	if err != nil {
		return err
	}
	d := handset.Device{
		ID: handset.NewID(), UserID: fmt.Sprintf("usr_bench%d", i), Name: "Phone", Application: "bank", Platform: "ios",
		AppVersion: "1.0", Status: handset.Active,
	}
	if err := d.SetKeys(keys.Public()); err != nil {
		return err
	}
	return db.Update(ctx, func(tx storage.Tx) error {
		fresh := d
		return devices.Put(tx, &fresh, audit.Actor{By: "bench"})
	})
}
