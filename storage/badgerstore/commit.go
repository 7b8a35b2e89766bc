// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/storage"
)

// A batch stays below what Badger takes at once for the memtable of engineOptions, a sixth of it, even when the last
// transaction added is as large as the contract allows: MaxWrites keys with values just below the threshold.
const (
	batchBytes = 384 << 10
	batchItems = 4096
)

// grace is how much longer than its moment of expiry Badger keeps an item. It covers clocks that were set wrong.
const grace = 24 * time.Hour

// commit is a transaction that waits for the committer's verdict.
type commit struct {
	snapshot uint64
	reads    []string
	writes   map[string]*storage.Item
	keys     []string // of writes
	bytes    int      // of writes
	again    bool     // it lost before and goes first

	done chan struct{} // closed when the verdict is in
	lost string        // the key that somebody else wrote, when err is errLost
	err  error
}

// errLost is the verdict on a transaction that read what was written since its snapshot.
var errLost = errors.New("another update came first")

// committer writes transactions to Badger, as many as wait in one batch.
type committer struct {
	badger  *badger.DB
	space   space
	config  Config
	history *history
	flush   func(txn *badger.Txn, batch uint64) error // to disk; a field so that tests can let a disk fail
	failed  atomic.Pointer[error]

	mu    sync.Mutex // guards queue
	queue []*commit
	wake  chan struct{}
	quit  chan struct{}
	ended chan struct{}
}

func newCommitter(engine *badger.DB, space space, config Config) *committer {
	c := &committer{
		badger: engine, space: space, config: config, history: newHistory(engine.MaxVersion()), flush: flush,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go c.run()
	return c
}

// newCommit takes what a transaction read and wrote.
func newCommit(t *tx, again bool) *commit {
	c := &commit{
		snapshot: t.snapshot, again: again, reads: t.reads, writes: t.writes, keys: make([]string, 0, len(t.writes)),
		done: make(chan struct{}),
	}
	for key, item := range t.writes {
		c.keys = append(c.keys, key)
		c.bytes += len(key)
		if item != nil {
			c.bytes += maxEnvelope + len(item.Value)
		}
	}
	return c
}

// submit hands a transaction over and waits for the verdict. A context that ends while the transaction still waits
// withdraws it; once it is in a batch the verdict is a sync away and is waited for.
func (c *committer) submit(ctx context.Context, commit *commit) error {
	c.mu.Lock()
	c.queue = append(c.queue, commit)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case <-commit.done:
		return commit.err
	case <-ctx.Done():
	}
	if c.withdraw(commit) {
		return ctx.Err()
	}
	<-commit.done
	return commit.err
}

func (c *committer) withdraw(commit *commit) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, commit)
	if i < 0 {
		return false
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	return true
}

// stop ends the committer. Nothing may be submitted any more.
func (c *committer) stop() {
	close(c.quit)
	<-c.ended
}

func (c *committer) run() {
	defer close(c.ended)
	for {
		select {
		case <-c.wake:
		case <-c.quit:
			return
		}
		for batch := c.take(); len(batch) > 0; batch = c.take() {
			c.write(batch)
		}
	}
}

// take removes the next batch from the queue: those that lost before, then the others in the order they came.
func (c *committer) take() []*commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.queue, func(a, b *commit) int {
		switch {
		case a.again == b.again:
			return 0
		case a.again:
			return -1
		}
		return 1
	})
	n, items, bytes := 0, 0, 0
	for n < len(c.queue) && items < batchItems && bytes < batchBytes {
		items += len(c.queue[n].keys)
		bytes += c.queue[n].bytes
		n++
	}
	batch := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return batch
}

// write gives every transaction of a batch its verdict.
func (c *committer) write(batch []*commit) {
	if err := c.ready(); err != nil {
		finish(err, batch...)
		return
	}
	number := c.history.next()
	accepted := batch[:0]
	for _, commit := range batch {
		if key, ok := c.history.changed(commit.reads, commit.snapshot); ok {
			commit.lost = key
			finish(errLost, commit)
			continue
		}
		c.history.record(number, commit.keys)
		accepted = append(accepted, commit)
	}
	if len(accepted) == 0 {
		return
	}
	err := c.sync(accepted, number)
	if err == nil {
		c.badger.SetDiscardTs(c.history.publish(number))
	}
	finish(err, accepted...)
}

func finish(err error, batch ...*commit) {
	for _, commit := range batch {
		commit.err = err
		close(commit.done)
	}
}

// sync writes a batch as one Badger transaction, which is one write to its log and one sync. When that fails, what is in
// memory and what is on disk may differ, and nothing more is written.
func (c *committer) sync(batch []*commit, number uint64) (err error) {
	start := c.config.Now()
	defer func() { c.config.Observe("commit", c.config.Now().Sub(start), err) }()
	txn := c.badger.NewTransactionAt(number, true)
	defer txn.Discard()
	for _, commit := range batch {
		for key, item := range commit.writes {
			if err := set(txn, key, item, start); err != nil {
				return err
			}
		}
	}
	if err := c.flush(txn, number); err != nil {
		c.failed.CompareAndSwap(nil, &err)
		return fmt.Errorf("writing to Badger: %w: %w", storage.ErrUnknown, err)
	}
	return nil
}

func flush(txn *badger.Txn, batch uint64) (err error) {
	defer recoverDamage(&err)
	return txn.CommitAt(batch, nil)
}

func set(txn *badger.Txn, key string, item *storage.Item, now time.Time) error {
	var err error
	if item == nil {
		err = txn.Delete([]byte(namespace + key))
	} else {
		err = txn.SetEntry(entry(item, now))
	}
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("writing to Badger: %w", storage.ErrTooLarge)
	}
	if err != nil {
		return fmt.Errorf("writing to Badger: %w: %w", storage.ErrUnavailable, err)
	}
	return nil
}

// entry gives Badger a time to live counted from the injected clock, so that a clock that is not the machine's does not
// make it collect what is alive.
func entry(item *storage.Item, now time.Time) *badger.Entry {
	e := badger.NewEntry([]byte(namespace+item.Key), sealEnvelope(item.ExpiresAt, item.Value))
	const forever = 50 * 365 * 24 * time.Hour
	if left := max(0, item.ExpiresAt.Sub(now)); !item.ExpiresAt.IsZero() && left < forever {
		e = e.WithTTL(left + grace)
	}
	return e
}

// failure returns why the store stopped writing, if it did.
func (c *committer) failure() error {
	cause := c.failed.Load()
	if cause == nil {
		return nil
	}
	return fmt.Errorf("the store in %q stopped writing until it is opened again, because a write failed: %w: %w",
		c.config.Dir, storage.ErrUnavailable, *cause)
}

// ready returns nil when a write can be accepted.
func (c *committer) ready() error {
	if err := c.failure(); err != nil {
		return err
	}
	return c.space.check()
}
