// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func openPlace(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: place, Now: now})
	if err != nil {
		return nil, err // not a DB that holds nil
	}
	return db, nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, openPlace)
}

func TestContention(t *testing.T) {
	t.Parallel()
	storagetest.RunContention(t, openPlace)
}

func TestDifferential(t *testing.T) {
	t.Parallel()
	storagetest.RunDifferential(t, openPlace)
}
