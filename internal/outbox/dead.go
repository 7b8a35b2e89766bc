// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Letter is a dead letter: an item that could not be delivered.
type Letter struct {
	// Ref names the letter. References sort by the time of death.
	Ref string `json:"ref"`
	Item
	// Tries is how often delivery was tried.
	Tries int `json:"tries"`
	// Cause is why the last try failed.
	Cause  string    `json:"cause"`
	DiedAt time.Time `json:"died_at"`
}

func newLetter(item Item, tries int, cause string, at time.Time) Letter {
	at = at.UTC().Truncate(time.Millisecond)
	return Letter{Ref: fmt.Sprintf("%013d.%s", at.UnixMilli(), item.ID), Item: item, Tries: tries, Cause: cause, DiedAt: at}
}

// Dead returns dead letters, oldest first, beginning after a reference, at most limit of them (0 is no limit).
func (o *Outbox) Dead(ctx context.Context, after string, limit int) (letters []Letter, err error) {
	err = o.config.DB.View(ctx, func(tx storage.Tx) error {
		letters = nil
		for letter, err := range o.dead.All(tx, after, limit) {
			if err != nil {
				return err
			}
			letters = append(letters, letter)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing dead letters: %w", err)
	}
	return letters, nil
}

// Resend puts a dead letter back at the end of its line, with its ID and all its tries before it, or returns
// [storage.ErrNotFound]. It comes after what its line holds now, though it happened before.
func (o *Outbox) Resend(ctx context.Context, ref string) error {
	err := o.config.DB.Update(ctx, func(tx storage.Tx) error {
		letter, err := o.dead.Get(tx, ref)
		if err != nil {
			return err
		}
		if err := o.dead.Delete(tx, ref); err != nil {
			return err
		}
		return o.enqueue(tx, letter.Item)
	})
	if err != nil {
		return fmt.Errorf("sending the dead letter %q again: %w", ref, err)
	}
	o.Wake()
	return nil
}

// Discard deletes a dead letter or returns [storage.ErrNotFound].
func (o *Outbox) Discard(ctx context.Context, ref string) error {
	err := o.config.DB.Update(ctx, func(tx storage.Tx) error {
		if _, err := o.dead.Get(tx, ref); err != nil {
			return err
		}
		return o.dead.Delete(tx, ref)
	})
	if err != nil {
		return fmt.Errorf("deleting the dead letter %q: %w", ref, err)
	}
	return nil
}
