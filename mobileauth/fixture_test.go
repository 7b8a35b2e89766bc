// SPDX-License-Identifier: Apache-2.0

package mobileauth_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a store, its clock, and the nodes over it.
type house struct {
	t     testing.TB
	db    *storagetest.FaultyDB
	clock *storagetest.Clock
}

func newHouse(t testing.TB, engine engines.Engine) *house {
	t.Helper()
	clock := storagetest.NewClock()
	return &house{t: t, clock: clock, db: engine.Open(t, clock.Now)}
}

// node returns a node that has read the store.
func (h *house) node(apps ...mobileauth.Application) *mobileauth.Registry {
	h.t.Helper()
	r := h.asleep(apps...)
	must(h.t, r.Refresh(h.t.Context()))
	return r
}

// asleep returns a node that has not read the store yet.
func (h *house) asleep(apps ...mobileauth.Application) *mobileauth.Registry {
	h.t.Helper()
	r, err := mobileauth.New(mobileauth.Config{
		DB: h.db, Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler), Applications: apps,
	})
	must(h.t, err)
	return r
}

// over runs a test over every store.
func over(t *testing.T, test func(t *testing.T, h *house)) {
	t.Parallel()
	for _, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newHouse(t, e))
		})
	}
}

// inMemory returns a node over a store in memory.
func inMemory(t testing.TB, apps ...mobileauth.Application) *mobileauth.Registry {
	t.Helper()
	return newHouse(t, engines.All[0]).node(apps...)
}

// bank is an application for two platforms.
func bank(rules ...mobileauth.Rule) mobileauth.Application {
	return mobileauth.Application{
		ID: "bank", Rules: rules,
		Platforms: map[string]string{"ios": "com.example.bank", "android": "com.example.bank"},
	}
}

func rule(pattern string, status mobileauth.Status, platform ...string) mobileauth.Rule {
	r := mobileauth.Rule{Pattern: pattern, Status: status}
	if len(platform) > 0 {
		r.Platform = platform[0]
	}
	if status == mobileauth.Notify {
		r.Messages = map[string]string{"en": "There is an update"}
	}
	return r
}

// leaving is a store whose caller goes away in the moment of a commit.
type leaving struct {
	storage.DB
	leave func()
}

// Update commits, and cancels.
func (l leaving) Update(ctx context.Context, fn func(storage.Tx) error) error {
	err := l.DB.Update(ctx, fn)
	l.leave()
	return err
}

// exampleRegistry returns a registry that knows the app "bank", over a store in memory.
func exampleRegistry() (*mobileauth.Registry, context.Context) {
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		panic(err)
	}
	registry, err := mobileauth.New(mobileauth.Config{
		DB: db, Now: clock.Now, Logger: slog.New(slog.DiscardHandler), Applications: []mobileauth.Application{bank()},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := registry.Refresh(ctx); err != nil {
		panic(err)
	}
	return registry, ctx
}
