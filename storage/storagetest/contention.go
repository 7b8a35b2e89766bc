// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/storage"
)

// RunContention proves clause 2 under load: a hundred goroutines (twenty in short mode) fight for one key, and nothing is
// lost or won twice.
func RunContention(t *testing.T, open Open) {
	workers := 100
	if testing.Short() {
		workers = 20
	}
	tests := []struct {
		name string
		run  func(*fixture, int)
	}{
		{"a counter equals its successes", func(f *fixture, n int) { countTogether(f, n, f.db) }},
		{"a code has one winner", oneWinner(spendCode)},
		{"an operation claim has one winner", oneWinner(claimOperation)},
		{"what is presumed to be absent is made once", func(f *fixture, n int) { makeTogether(f, 10*n, f.db, f.db) }},
		{"a rotation has one winner per generation", rotateTogether},
		{"a limit is not exceeded", limitTogether},
		{"a sum is preserved", transferTogether},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(newFixture(t, open), workers)
		})
	}
}

// together starts n goroutines, releases them at once and waits for them.
func together(n int, work func(worker int)) {
	start := make(chan struct{})
	var group sync.WaitGroup
	for worker := range n {
		group.Go(func() {
			<-start
			work(worker)
		})
	}
	close(start)
	group.Wait()
}

// tally counts outcomes; an update may end in ErrConflict, which is no outcome.
type tally struct {
	mu                       sync.Mutex
	won, refused, conflicted int
}

func (c *tally) add(f *fixture, won bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, storage.ErrConflict):
		c.conflicted++
	case err != nil:
		f.Errorf("updating under contention: %v", err)
	case won:
		c.won++
	default:
		c.refused++
	}
}

// check reports how it went. An engine that gives up on more than a tenth of the updates does not bear contention.
func (c *tally) check(f *fixture) {
	f.Helper()
	f.Logf("%d won, %d were refused, %d gave up", c.won, c.refused, c.conflicted)
	if all := c.won + c.refused + c.conflicted; c.conflicted*10 > all {
		f.Errorf("%d of %d updates gave up", c.conflicted, all)
	}
}

// countTogether lets n goroutines raise one counter through each of the handles.
func countTogether(f *fixture, n int, dbs ...storage.DB) {
	var count tally
	together(n*len(dbs), func(worker int) {
		for range 3 {
			err := dbs[worker%len(dbs)].Update(f.Context(), func(tx storage.Tx) error { return bump(tx, "n") })
			count.add(f, true, err)
		}
	})
	count.check(f)
	f.wantValue("n", strconv.Itoa(count.won))
}

// oneWinner runs one attempt per goroutine in several rounds; an attempt says whether it won.
func oneWinner(attempt func(tx storage.Tx, key string) (bool, error)) func(*fixture, int) {
	return func(f *fixture, n int) {
		var all tally
		const rounds = 5
		for round := range rounds {
			key := fmt.Sprintf("single/%d", round)
			f.put(key, "fresh")
			together(n, func(int) {
				var won bool
				err := f.db.Update(f.Context(), func(tx storage.Tx) (err error) {
					won, err = attempt(tx, key)
					return err
				})
				all.add(f, won, err)
			})
		}
		all.check(f)
		if all.won != rounds {
			f.Errorf("%d rounds had %d winners", rounds, all.won)
		}
	}
}

// spendCode marks a code as spent and wins when it was not.
func spendCode(tx storage.Tx, key string) (bool, error) {
	item, err := tx.Get(key)
	if err != nil || string(item.Value) == "spent" {
		return false, err
	}
	return true, put(tx, key, "spent")
}

// claimOperation wins by inserting the claim's key.
func claimOperation(tx storage.Tx, key string) (bool, error) {
	err := tx.Insert(storage.Item{Key: key + "/claim"})
	if errors.Is(err, storage.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// makeTogether lets two make the same item many times over: one presumes that it is absent, the other inserts it.
func makeTogether(f *fixture, rounds int, presuming, inserting storage.DB) {
	var all tally
	together(4, func(lane int) {
		for round := lane; round < rounds; round += 4 {
			key := fmt.Sprintf("made/%d", round)
			together(2, func(worker int) {
				db, attempt := presuming, makePresumed
				if worker == 0 {
					db, attempt = inserting, claimOperation
				}
				var won bool
				err := db.Update(f.Context(), func(tx storage.Tx) (err error) {
					won, err = attempt(tx, key)
					return err
				})
				all.add(f, won, err)
			})
		}
	})
	all.check(f)
	if all.won != rounds {
		f.Errorf("%d items were made %d times", rounds, all.won)
	}
}

// makePresumed wins by finding nothing where it presumed that there is nothing.
func makePresumed(tx storage.Tx, key string) (bool, error) {
	storage.Presume(tx, key+"/claim")
	_, err := tx.Get(key + "/claim")
	if errors.Is(err, storage.ErrNotFound) {
		return true, put(tx, key+"/claim", "presumed", key+"/mark", "1")
	}
	return false, err
}

// rotateTogether lets everybody rotate the same refresh token: whoever finds the generation it holds rotates, whoever finds
// a later one is refused. Each generation may be left once.
func rotateTogether(f *fixture, n int) {
	const generations = 5
	f.put("family", "0")
	var all tally
	var winners [generations]tally
	together(n, func(int) {
		for held := range generations {
			var won bool
			err := f.db.Update(f.Context(), func(tx storage.Tx) error {
				item, err := tx.Get("family")
				if err != nil {
					return err
				}
				if won = string(item.Value) == strconv.Itoa(held); !won {
					return nil
				}
				return put(tx, "family", strconv.Itoa(held+1))
			})
			all.add(f, won, err)
			winners[held].add(f, won, err)
		}
	})
	all.check(f)
	for held := range winners {
		if winners[held].won != 1 {
			f.Errorf("generation %d was rotated %d times", held, winners[held].won)
		}
	}
	f.wantValue("family", strconv.Itoa(generations))
}

// limitTogether lets everybody add a member under a limit that a counter key keeps.
func limitTogether(f *fixture, n int) {
	const limit = 7
	var all tally
	together(n, func(worker int) {
		var won bool
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			if won = value(f, tx, "members") != strconv.Itoa(limit); !won {
				return nil
			}
			return errors.Join(bump(tx, "members"), put(tx, fmt.Sprintf("member/%d", worker), "1"))
		})
		all.add(f, won, err)
	})
	all.check(f)
	f.view(func(tx storage.Tx) error {
		if members := len(keys(f, tx, "member/", "", 0)); members != limit || all.won != limit {
			f.Errorf("%d members and %d winners under a limit of %d", members, all.won, limit)
		}
		return nil
	})
}

// transferTogether moves single units between accounts while views add them up.
func transferTogether(f *fixture, n int) {
	accounts := []string{"account/0", "account/1", "account/2", "account/3"}
	for _, account := range accounts {
		f.put(account, "100")
	}
	ctx := f.Context()
	together(n, func(worker int) {
		from, to := accounts[worker%4], accounts[(worker+1+worker/4%3)%4]
		if err := transfer(ctx, f.db, from, to); err != nil && !errors.Is(err, storage.ErrConflict) {
			f.Errorf("transferring: %v", err)
		}
		sum := 0
		err := f.db.View(ctx, func(tx storage.Tx) error {
			for item, err := range tx.Scan("account/", "", 0) {
				amount, convErr := strconv.Atoi(string(item.Value))
				if err = errors.Join(err, convErr); err != nil {
					return err
				}
				sum += amount
			}
			return nil
		})
		if err != nil || sum != 100*len(accounts) {
			f.Errorf("a view saw a sum of %d and %v", sum, err)
		}
	})
}

func transfer(ctx context.Context, db storage.DB, from, to string) error {
	return db.Update(ctx, func(tx storage.Tx) error {
		for key, change := range map[string]int{from: -1, to: +1} {
			item, err := tx.Get(key)
			if err != nil {
				return err
			}
			amount, err := strconv.Atoi(string(item.Value))
			if err != nil {
				return err
			}
			if err := put(tx, key, strconv.Itoa(amount+change)); err != nil {
				return err
			}
		}
		return nil
	})
}
