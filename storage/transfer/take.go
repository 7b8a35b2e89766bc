// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// What [Target.Take] and [Unfinished] refuse.
var (
	ErrNotEmpty   = errors.New("the store is not empty")
	ErrUnfinished = errors.New("the store is being filled, and what it holds is not all")
	ErrDiffers    = errors.New("what was read back is not what was written: has somebody else written to the store?")
	// ErrChoice is a store that was being filled from the same source with something left out and now with nothing, or the other way.
	ErrChoice = errors.New("the store was being filled with another choice of what is left out")
)

// markKey is where a store that is being filled says so. No table has that name.
const markKey = "transfer/unfinished"

// mark says what a store is being filled from.
type mark struct {
	ID string `json:"id"`
	// Partial tells that something is left out.
	Partial bool `json:"partial,omitempty"`
}

// Unfinished refuses a store that is being filled with [ErrUnfinished].
func Unfinished(ctx context.Context, db storage.DB) error {
	is, err := readMark(ctx, db)
	if err == nil && is != nil {
		return fmt.Errorf("from %s: %w", is.ID, ErrUnfinished)
	}
	return err
}

func readMark(ctx context.Context, db storage.DB) (is *mark, err error) {
	err = db.View(ctx, func(tx storage.Tx) error {
		item, err := tx.Get(markKey)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		is = new(mark)
		return json.Unmarshal(item.Value, is)
	})
	if err != nil {
		return nil, fmt.Errorf("asking whether the store is being filled: %w", err)
	}
	return is, nil
}

// Target is a store that is to hold what comes.
type Target struct {
	DB storage.DB
	// ID names the source: a store that was being filled from the same one goes on being filled.
	ID string
	// Overwrite takes a store that holds something else; what is not in the source is then removed.
	Overwrite bool
	// Unfinished leaves the mark, since the source will have changed until the store is taken into use.
	Unfinished bool
	// DryRun compares, and writes nothing.
	DryRun bool
	// LeaveOut, when set, is asked about each table that something comes of, or what is kept beside tables by its name: what is left out does
	// not come into the store, records and index entries alike. Its error refuses the source. A store that was being filled with something
	// left out is not filled from that source with all, and one that was being filled with all begins anew, where Overwrite is set.
	LeaveOut func(table string) (bool, error)
	// Now judges what has expired. The store's own clock must say the same.
	Now time.Time
	// Progress is told how much has come.
	Progress Progress
}

// Result is what became of what came.
type Result struct {
	// Source is what came, had not expired and was not left out.
	Source Totals `json:"source"`
	// Expired items came and were dropped.
	Expired int64 `json:"expired"`
	// LeftOut are the records that were left out, by their tables. Their index entries are not counted. It is nil where nothing is left out
	// on purpose.
	LeftOut map[string]int64 `json:"left_out,omitempty"`
	// Written, Same and Removed are items of the store.
	Written int64 `json:"written"`
	Same    int64 `json:"same"`
	Removed int64 `json:"removed"`
	// Resumed tells that the store was being filled before.
	Resumed bool `json:"resumed,omitempty"`
}

// How much is written at once. Transactions that are under way together share a sync, or the way to the database.
const (
	atOnce    = 8
	waveItems = atOnce * storage.MaxWrites
	waveBytes = 8 << 20
	pageItems = 512
)

// Take has the store hold exactly the items but for those that have expired or are left out, and reads it back. They have to come in the
// order of their keys, and are read to their end. What it returns beside an error tells how far it came; the store is then marked, and
// another Take from the same source goes on.
func (t *Target) Take(ctx context.Context, items iter.Seq2[storage.Item, error]) (result Result, err error) {
	if result.Resumed, err = t.begin(ctx); err != nil {
		return result, err
	}
	f := &filling{target: t, result: &result, there: pager{db: t.DB}}
	count := newTally()
	for item, err := range t.sift(items, &result) {
		if err == nil {
			count.add(item)
			result.Source = count.totals
			err = f.put(ctx, item)
		}
		if err != nil {
			return result, err
		}
		t.Progress.tell(count.totals)
	}
	result.Source = count.close()
	if err := f.finish(ctx); err != nil || t.DryRun {
		return result, err
	}
	return result, t.end(ctx, result.Source)
}

// Weigh reads items to their end and returns what Take would, of a store that holds nothing. It needs no store.
func (t *Target) Weigh(items iter.Seq2[storage.Item, error]) (result Result, err error) {
	count := newTally()
	for item, err := range t.sift(items, &result) {
		if err != nil {
			return result, err
		}
		count.add(item)
		t.Progress.tell(count.totals)
	}
	result.Source = count.close()
	result.Written = result.Source.Items
	return result, nil
}

// sift yields what the store is to hold, and counts the rest.
func (t *Target) sift(items iter.Seq2[storage.Item, error], result *Result) iter.Seq2[storage.Item, error] {
	if t.LeaveOut != nil {
		result.LeftOut = map[string]int64{}
	}
	return func(yield func(storage.Item, error) bool) {
		for item, err := range items {
			if err == nil && !item.Live(t.Now) {
				result.Expired++
				continue
			}
			out := false
			if err == nil && t.LeaveOut != nil {
				out, err = t.leaveOut(item, result)
			}
			if out && err == nil {
				continue
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// leaveOut judges an item by its table, and counts a record that is left out.
func (t *Target) leaveOut(item storage.Item, result *Result) (bool, error) {
	place, ok := storage.PlaceOf(item, func(string, string) bool { return false })
	if !ok {
		place = storage.Place{Table: item.Key}
	}
	out, err := t.LeaveOut(place.Table)
	if out && err == nil && place.Index == "" {
		result.LeftOut[place.Table]++
	}
	return out, err
}

// begin looks whether the store may be filled, and marks it.
func (t *Target) begin(ctx context.Context) (resumed bool, err error) {
	is, err := readMark(ctx, t.DB)
	if err != nil {
		return false, err
	}
	partial := t.LeaveOut != nil
	switch {
	case is != nil && is.ID == t.ID && is.Partial == partial:
		return true, nil
	case is != nil && is.ID == t.ID && (is.Partial || !t.Overwrite):
		return false, fmt.Errorf("from %s: %w", is.ID, ErrChoice)
	case is != nil && !t.Overwrite:
		return false, fmt.Errorf("it is being filled from %s: %w", is.ID, ErrNotEmpty)
	case !t.Overwrite:
		first := pager{db: t.DB}
		switch _, some, err := first.peek(ctx); {
		case err != nil:
			return false, err
		case some:
			return false, ErrNotEmpty
		}
	}
	if t.DryRun {
		return false, nil
	}
	value, err := json.Marshal(mark{ID: t.ID, Partial: partial})
	if err != nil {
		return false, err
	}
	err = t.DB.Update(ctx, func(tx storage.Tx) error { return tx.Put(storage.Item{Key: markKey, Value: value}) })
	if err != nil {
		return false, fmt.Errorf("marking the store: %w", err)
	}
	return false, nil
}

// end reads the store back and takes the mark away.
func (t *Target) end(ctx context.Context, want Totals) error {
	var got Totals
	err := snapshot(ctx, t.DB, func(items iter.Seq2[storage.Item, error]) (err error) {
		got, err = Sum(items, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	if got != want {
		return fmt.Errorf("%d items were to be there, %d are: %w", want.Items, got.Items, ErrDiffers)
	}
	if t.Unfinished {
		return nil
	}
	return Finish(ctx, t.DB)
}

// Finish takes the mark of a store away: it holds all.
func Finish(ctx context.Context, db storage.DB) error {
	if err := db.Update(ctx, func(tx storage.Tx) error { return tx.Delete(markKey) }); err != nil {
		return fmt.Errorf("taking the mark away: %w", err)
	}
	return nil
}

// filling goes through source and store side by side.
type filling struct {
	target *Target
	result *Result
	there  pager
	wave   []change
	bytes  int
}

// change is an item to be written, or a key to be removed.
type change struct {
	item   storage.Item
	remove bool
}

// put sees to the next item of the source, and to what stands before it in the store.
func (f *filling) put(ctx context.Context, item storage.Item) error {
	for {
		old, ok, err := f.there.peek(ctx)
		if err != nil {
			return err
		}
		if !ok || old.Key > item.Key {
			f.result.Written++
			return f.change(ctx, change{item: item})
		}
		f.there.skip()
		if old.Key == item.Key {
			if moment(old.ExpiresAt) == moment(item.ExpiresAt) && bytes.Equal(old.Value, item.Value) {
				f.result.Same++
				return nil
			}
			f.result.Written++
			return f.change(ctx, change{item: item})
		}
		if err := f.remove(ctx, old.Key); err != nil {
			return err
		}
	}
}

func (f *filling) remove(ctx context.Context, key string) error {
	f.result.Removed++
	return f.change(ctx, change{item: storage.Item{Key: key}, remove: true})
}

// finish removes what the store holds after the last item of the source.
func (f *filling) finish(ctx context.Context) error {
	for {
		old, ok, err := f.there.peek(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return f.flush(ctx)
		}
		f.there.skip()
		if err := f.remove(ctx, old.Key); err != nil {
			return err
		}
	}
}

func (f *filling) change(ctx context.Context, c change) error {
	if f.target.DryRun {
		return nil
	}
	f.wave = append(f.wave, c)
	f.bytes += len(c.item.Value)
	if len(f.wave) < waveItems && f.bytes < waveBytes {
		return nil
	}
	return f.flush(ctx)
}

// flush writes what has gathered, in several transactions at once.
func (f *filling) flush(ctx context.Context) error {
	var group sync.WaitGroup
	var failed [atOnce]error
	share := max(1, (len(f.wave)+atOnce-1)/atOnce)
	for i := range atOnce {
		from, to := min(i*share, len(f.wave)), min((i+1)*share, len(f.wave))
		if from < to {
			group.Go(func() { failed[i] = write(ctx, f.target.DB, f.wave[from:to]) })
		}
	}
	group.Wait()
	f.wave, f.bytes = f.wave[:0], 0
	for _, err := range failed {
		if err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

func write(ctx context.Context, db storage.DB, changes []change) error {
	return db.Update(ctx, func(tx storage.Tx) error {
		for _, c := range changes {
			var err error
			if c.remove {
				err = tx.Delete(c.item.Key)
			} else {
				err = tx.Put(c.item)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// pager goes through a store in short views. Nobody else writes to it meanwhile.
type pager struct {
	db    storage.DB
	page  []storage.Item
	after string
	last  bool
}

// peek returns the next item.
func (p *pager) peek(ctx context.Context) (item *storage.Item, ok bool, err error) {
	for len(p.page) == 0 && !p.last {
		if err := p.fetch(ctx); err != nil {
			return nil, false, fmt.Errorf("reading the store: %w", err)
		}
	}
	if len(p.page) == 0 {
		return nil, false, nil
	}
	return &p.page[0], true, nil
}

func (p *pager) skip() { p.page = p.page[1:] }

func (p *pager) fetch(ctx context.Context) error {
	var page []storage.Item
	after, n := p.after, 0
	err := p.db.View(ctx, func(tx storage.Tx) error {
		for item, err := range tx.Scan("", p.after, pageItems) {
			if err != nil {
				return err
			}
			if after, n = item.Key, n+1; item.Key != markKey {
				page = append(page, item)
			}
		}
		return nil
	})
	p.page, p.after, p.last = page, after, n < pageItems
	return err
}
