// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// server is shared by the tests of this package, which have a schema each.
var server struct {
	once sync.Once
	*postgres.Server
	dsn string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.Server != nil {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// dsn returns how to connect: to the database that GATEHOUSE_TEST_POSTGRES names, else to a server of the tests' own.
func dsn(t testing.TB) string {
	t.Helper()
	server.once.Do(func() {
		if server.dsn = os.Getenv("GATEHOUSE_TEST_POSTGRES"); server.dsn != "" {
			return
		}
		if server.Server, server.err = postgres.Open(); server.err == nil {
			server.dsn = server.DSN("postgres", postgres.User)
		}
	})
	if errors.Is(server.err, postgres.ErrMissing) {
		t.Skip(server.err)
	}
	must(t, server.err)
	return server.dsn
}

func open(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
	t.Helper()
	return openWith(t, place, now, nil)
}

func openWith(t testing.TB, place string, now func() time.Time, change func(*pgstore.Config)) (*pgstore.DB, error) {
	t.Helper()
	sum := sha256.Sum256([]byte(place))
	c := pgstore.Config{DSN: dsn(t), Schema: "t" + hex.EncodeToString(sum[:8]), Now: now, MaxConns: 6, SweepEvery: -1, AcquireTimeout: time.Minute}
	if change != nil {
		change(&c)
	}
	return pgstore.Open(t.Context(), c)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T)  { storagetest.Run(t, open) }
func TestContention(t *testing.T)   { storagetest.RunContention(t, open) }
func TestDifferential(t *testing.T) { storagetest.RunDifferential(t, open) }
