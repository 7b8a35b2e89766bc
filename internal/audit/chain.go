// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Where the chain is kept. A mark stands for an event that is not sealed yet.
const (
	markPrefix = "audit_mark/"
	sealPrefix = "audit_seal/"
	headKey    = "audit_chain/head"
	keyKey     = "audit_chain/key"
)

// MaxBatch is how many events one seal holds: a transaction writes the seal, the head and, once, the key beside the marks it removes.
const MaxBatch = storage.MaxWrites - 3

// sealGrace is how much longer than its events a seal is kept.
const sealGrace = 24 * time.Hour

// Head is the last seal of the chain. Noted outside of the store it proves later that nothing before it was taken back.
type Head struct {
	Sequence uint64    `json:"sequence"`
	Hash     string    `json:"hash"`
	Time     time.Time `json:"time,omitzero"`
}

// String returns the head as an operator notes it: "12:…".
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Sequence, h.Hash) }

// ParseHead reads what [Head.String] returns.
func ParseHead(text string) (Head, error) {
	var h Head
	number, hash, ok := strings.Cut(text, ":")
	if _, err := fmt.Sscanf(number, "%d", &h.Sequence); err != nil || !ok || hash == "" || fmt.Sprint(h.Sequence) != number {
		return Head{}, fmt.Errorf("a head is written as its number, a colon and its hash: %w", ErrQuery)
	}
	h.Hash = hash
	return h, nil
}

// seal is one link of the chain.
type seal struct {
	Sequence uint64 `json:"sequence"`
	// Previous is the hash of the seal before, empty in the first.
	Previous string `json:"previous,omitempty"`
	// PreviousUntil is how long that one is kept: if it is gone before, it was removed.
	PreviousUntil int64   `json:"previous_until,omitempty"`
	Until         int64   `json:"until"`
	Time          int64   `json:"time"`
	Events        []proof `json:"events"`
}

// proof is what a seal knows of an event. Times are Unix milliseconds.
type proof struct {
	ID string `json:"id"`
	// Hash is empty for an event that was gone before it could be sealed.
	Hash  string `json:"hash,omitempty"`
	Until int64  `json:"until"`
}

// sealed is how a seal is stored: exactly the bytes that were hashed, and the hash.
type sealed struct {
	Body json.RawMessage `json:"body"`
	Hash string          `json:"hash"`
}

// value is what is written of a seal. The hash covers the body alone, so a seal that stands in any other form was changed.
func (s sealed) value() ([]byte, error) {
	value, err := json.Marshal(s)
	return append([]byte{1}, value...), err
}

func sealKey(sequence uint64) string { return fmt.Sprintf("%s%020d", sealPrefix, sequence) }

// hash is HMAC-SHA-256 over what is hashed, under a label that keeps events and seals apart. Parts are told apart by the length
// of the first.
func hash(key []byte, label, name string, value []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "gatehouse audit %s v1\n%d:%s\n", label, len(name), name)
	mac.Write(value)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// eventHash covers the id and the value as it is stored, so that no reading of it can differ from what was sealed.
func eventHash(key []byte, id string, value []byte) string { return hash(key, "event", id, value) }

func sealHash(key []byte, sequence uint64, body []byte) string {
	return hash(key, "seal", fmt.Sprint(sequence), body)
}

// errBroken is a chain that lacks its head or its key. It is not gone on with: what would follow could not be told from what
// somebody has put in its place.
var errBroken = errors.New("the head or the key of the audit chain was removed: verify the trail, and restore it from a backup")

// begin draws the key of a chain that has not begun.
func (t *Trail) begin(tx storage.Tx, drawn []byte) (err error) {
	switch _, err := tx.Get(keyKey); {
	case err == nil:
		return errBroken
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	if t.sealer != nil {
		if drawn, err = t.sealer.Seal(keyKey, drawn); err != nil {
			return fmt.Errorf("sealing the key of the audit chain: %w", err)
		}
	}
	return tx.Put(storage.Item{Key: keyKey, Value: drawn})
}

// chainKey returns the secret of the chain.
func (t *Trail) chainKey(tx storage.Tx) ([]byte, error) {
	item, err := tx.Get(keyKey)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the key of the audit chain: %w", err)
	case t.sealer == nil:
		return item.Value, nil
	}
	key, err := t.sealer.Open(keyKey, item.Value)
	if err != nil {
		return nil, fmt.Errorf("opening the key of the audit chain: %w", err)
	}
	return key, nil
}

// Seal adds the events that are marked to the chain, at most [MaxBatch] of them, and returns how many they were and the head.
// Several nodes may seal at once: each event is sealed once.
func (t *Trail) Seal(ctx context.Context) (n int, head Head, err error) {
	b, err := t.sealFrom(ctx, "")
	return b.n, b.head, err
}

// batch is what one seal has added: so many events, of which the last was marked by that key.
type batch struct {
	n    int
	last string
	head Head
}

// sealFrom seals a batch of the events whose marks are above a key.
func (t *Trail) sealFrom(ctx context.Context, after string) (b batch, err error) {
	drawn := make([]byte, sha256.Size)
	_, _ = rand.Read(drawn) // never fails since Go 1.24
	err = t.db.Update(ctx, func(tx storage.Tx) error {
		b = batch{}
		marked, err := marks(tx, after, MaxBatch)
		if err != nil || len(marked) == 0 {
			return err
		}
		b.n, b.last = len(marked), markPrefix+marked[len(marked)-1]
		b.head, err = t.extend(tx, drawn, marked)
		return err
	})
	if err != nil {
		return batch{}, fmt.Errorf("sealing audit events: %w", err)
	}
	return b, nil
}

// marks returns the ids of events that are not sealed yet, in their order.
func marks(tx storage.Tx, after string, limit int) (ids []string, err error) {
	for item, err := range tx.Scan(markPrefix, after, limit) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, strings.TrimPrefix(item.Key, markPrefix))
	}
	return ids, nil
}

// extend writes the next seal. The head is read and written in one transaction, so that two seals cannot follow the same one.
func (t *Trail) extend(tx storage.Tx, drawn []byte, ids []string) (Head, error) {
	keys := []string{headKey, keyKey}
	for _, id := range ids {
		keys = append(keys, t.events.Key(id))
	}
	if err := storage.Prefetch(tx, keys...); err != nil {
		return Head{}, err
	}
	last, err := readHead(tx)
	if err == nil && last.Sequence == 0 {
		err = t.begin(tx, drawn)
	}
	if err != nil {
		return Head{}, err
	}
	key, err := t.chainKey(tx)
	if errors.Is(err, storage.ErrNotFound) {
		err = errBroken
	}
	if err != nil {
		return Head{}, err
	}
	now := t.now().UTC()
	next := seal{
		Sequence: last.Sequence + 1, Previous: last.Hash, PreviousUntil: last.Until, Until: max(last.Until, now.UnixMilli()),
		Time: now.UnixMilli(),
	}
	for _, id := range ids {
		p := proof{ID: id}
		item, err := tx.Get(t.events.Key(id))
		switch {
		case errors.Is(err, storage.ErrNotFound):
		case err != nil:
			return Head{}, err
		default:
			p.Hash, p.Until = eventHash(key, id, item.Value), item.ExpiresAt.UnixMilli()
		}
		next.Until = max(next.Until, p.Until+sealGrace.Milliseconds())
		next.Events = append(next.Events, p)
		if err := tx.Delete(markPrefix + id); err != nil {
			return Head{}, err
		}
	}
	return putSeal(tx, key, next)
}

func putSeal(tx storage.Tx, key []byte, s seal) (Head, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return Head{}, err
	}
	link := sealed{Body: body, Hash: sealHash(key, s.Sequence, body)}
	value, err := link.value()
	if err != nil {
		return Head{}, err
	}
	until := time.UnixMilli(s.Until)
	if err := tx.Put(storage.Item{Key: sealKey(s.Sequence), Value: value, ExpiresAt: until}); err != nil {
		return Head{}, err
	}
	head := storedHead{Sequence: s.Sequence, Hash: link.Hash, Time: s.Time, Until: s.Until}
	if value, err = json.Marshal(head); err != nil {
		return Head{}, err
	}
	return head.public(), tx.Put(storage.Item{Key: headKey, Value: append([]byte{1}, value...)})
}

// storedHead does not expire: a chain whose seals have all expired goes on with the next number.
type storedHead struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
	Time     int64  `json:"time"`
	Until    int64  `json:"until"`
}

func (h storedHead) public() Head {
	if h.Sequence == 0 {
		return Head{}
	}
	return Head{Sequence: h.Sequence, Hash: h.Hash, Time: time.UnixMilli(h.Time).UTC()}
}

// readHead returns the head; the zero value before the first seal.
func readHead(tx storage.Tx) (head storedHead, err error) {
	item, err := tx.Get(headKey)
	if errors.Is(err, storage.ErrNotFound) {
		return head, nil
	}
	if err != nil {
		return head, err
	}
	if err := decode(item.Value, &head); err != nil {
		return head, fmt.Errorf("reading the head of the audit chain: %w", err)
	}
	return head, nil
}

// errDamaged is what cannot be read of the chain.
var errDamaged = errors.New("the value is damaged or of a newer version")

// decode reads a value of the chain: a version byte and JSON.
func decode(value []byte, into any) error {
	if len(value) == 0 || value[0] != 1 || json.Unmarshal(value[1:], into) != nil {
		return errDamaged
	}
	return nil
}
