// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

const crashWriters = 8

// playCrash writes until it is killed, and tells of every commit after it was acknowledged.
func playCrash(dir string) error {
	ctx := context.Background()
	db, err := badgerstore.Open(ctx, badgerstore.Config{Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for writer := range crashWriters {
		group.Go(func() {
			for {
				var key string
				err := db.Update(ctx, func(tx storage.Tx) (err error) {
					key, err = writeNext(tx, writer)
					return err
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(key)
			}
		})
	}
	group.Wait()
	return nil
}

// writeNext writes a writer's next item, with its counter: one never without the other.
func writeNext(tx storage.Tx, writer int) (string, error) {
	counter := fmt.Sprintf("counter/%d", writer)
	count, err := readCounter(tx, counter)
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("item/%d/%d", writer, count)
	value := strings.Repeat(key, 20)
	if count%50 == 0 {
		value = strings.Repeat(key, 2000) // beyond the threshold of the value log
	}
	if err := tx.Put(storage.Item{Key: key, Value: []byte(value)}); err != nil {
		return "", err
	}
	return key, tx.Put(storage.Item{Key: counter, Value: fmt.Append(nil, count+1)})
}

func readCounter(tx storage.Tx, key string) (count int, err error) {
	for item, err := range tx.Scan(key, "", 1) {
		if err != nil {
			return 0, err
		}
		_, err = fmt.Sscan(string(item.Value), &count)
		return count, err
	}
	return 0, nil
}

func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	t.Parallel()
	rounds, most := 4, 1500
	if testing.Short() {
		rounds, most = 2, 300
	}
	dir := filepath.Join(t.TempDir(), "data")
	acknowledged := map[string]bool{}
	for round := range rounds {
		kill := 1 + rand.IntN(most)
		for _, key := range runAndKill(t, dir, kill) {
			acknowledged[key] = true
		}
		missing := inspectCrash(t, dir, acknowledged)
		if missing > 0 {
			t.Fatalf("round %d, killed after %d: %d of %d acknowledged writes are lost",
				round, kill, missing, len(acknowledged))
		}
	}
	t.Logf("%d acknowledged writes survived %d kills", len(acknowledged), rounds)
}

// runAndKill returns what a process acknowledged until it was killed.
func runAndKill(t *testing.T, dir string, after int) []string {
	t.Helper()
	child := process(t, "crash", dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		keys = append(keys, lines.Text())
		if len(keys) == after {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if len(keys) < after {
		t.Fatalf("the process ended after %d of %d writes", len(keys), after)
	}
	return keys
}

// inspectCrash opens what the killed process left and counts the acknowledged writes that are not there. Counters must
// agree with items, for every transaction is all or nothing.
func inspectCrash(t *testing.T, dir string, acknowledged map[string]bool) (missing int) {
	t.Helper()
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	err := db.View(t.Context(), func(tx storage.Tx) error {
		for key := range acknowledged {
			item, err := tx.Get(key)
			if err != nil || !strings.HasPrefix(string(item.Value), key) {
				missing++
			}
		}
		for writer := range crashWriters {
			count, err := readCounter(tx, fmt.Sprintf("counter/%d", writer))
			if err != nil {
				return err
			}
			items := 0
			for _, err := range tx.Scan(fmt.Sprintf("item/%d/", writer), "", 0) {
				if err != nil {
					return err
				}
				items++
			}
			if items != count {
				t.Errorf("writer %d has %d items and counted %d", writer, items, count)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return missing
}
