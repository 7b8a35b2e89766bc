// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

const users = 100000

// user is a record as long as a user's, and as hard to compress.
func user(i int) storage.Item {
	var random [48]byte
	_, _ = rand.Read(random[:])
	return storage.Item{Key: fmt.Sprintf("user/%06d", i), Value: fmt.Appendf(nil,
		`{"id":"usr_%06d","external_ref":"crm-%08d","logins":["user%d@example.com"],"attributes":{"given_name":"Name%d",`+
			`"family_name":"Family%d","phone":"+3161234%05d","department":"payments"},"status":"active","password":{"phc":`+
			`"$argon2id$v=19$m=19456,t=2,p=1$%s"},"failures":{"count":0},"version":1,"created_at":"2026-01-02T03:04:05.123Z",`+
			`"updated_at":"2026-01-02T03:04:05.123Z","note":"%s"}`,
		i, i, i, i, i, i, base64.RawStdEncoding.EncodeToString(random[:]), strings.Repeat("p", 80))}
}

// playFill makes a store of users and prints what the process weighs when it is done.
func playFill(dir string) error {
	ctx := context.Background()
	db, err := badgerstore.Open(ctx, badgerstore.Config{Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	for from := 0; from < users; from += storage.MaxWrites {
		err := db.Update(ctx, func(tx storage.Tx) error {
			for i := from; i < min(users, from+storage.MaxWrites); i++ {
				if err := tx.Put(user(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(printWeight("filled"), db.Close())
}

// playIdle opens a store, uses it a little, sweeps it, and prints what the process weighs.
func playIdle(dir string) error {
	ctx := context.Background()
	start := time.Now()
	db, err := badgerstore.Open(ctx, badgerstore.Config{Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	opened := time.Since(start)
	for i := 0; i < users; i += 100 {
		err := db.Update(ctx, func(tx storage.Tx) error {
			item, err := tx.Get(fmt.Sprintf("user/%06d", i))
			if err != nil {
				return err
			}
			return tx.Put(item)
		})
		if err != nil {
			return err
		}
	}
	if _, err := db.Sweep(ctx); err != nil {
		return err
	}
	debug.FreeOSMemory()
	fmt.Println("open", opened.Milliseconds())
	return errors.Join(printWeight("idle"), db.Close())
}

func printWeight(when string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Println(when, strings.Fields(value)[0])
		}
	}
	return nil
}

func TestMemoryOfAnIdleStore(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not tell what a process weighs")
	}
	if testing.Short() || raceDetector {
		t.Skip("writes a hundred thousand users, and weighs a process without the race detector")
	}
	dir := t.TempDir()
	figures := map[string]int{}
	for _, part := range []string{"fill", "idle"} {
		out, err := process(t, part, dir).Output()
		if err != nil {
			t.Fatalf("%s: %v", part, err)
		}
		for line := range strings.Lines(string(out)) {
			var what string
			var figure int
			if _, err := fmt.Sscan(line, &what, &figure); err != nil {
				t.Fatalf("%s printed %q", part, line)
			}
			figures[what] = figure
		}
	}
	t.Logf("%d users of %d bytes: %d kB resident after writing them, %d kB idle after opening them in %d ms",
		users, len(user(0).Value), figures["filled"], figures["idle"], figures["open"])
	if kB := figures["idle"]; kB == 0 || kB > 80<<10 {
		t.Errorf("an idle store weighs %d kB", kB)
	}
	if ms := figures["open"]; ms > 2000 {
		t.Errorf("opening took %d ms", ms)
	}
}
