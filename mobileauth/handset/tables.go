// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	byHash      = "hash"
	byKey       = "key"
	byPush      = "push"
	byServerKey = "server_key"
	byPlatform  = "platform_key"

	handsetKeyID = "key"
)

// record is a device as stored, with what its JSON form leaves out.
type record struct {
	Device
	Secrets      map[string][]byte `json:"secrets,omitempty"`
	ServerSecret []byte            `json:"server_secret,omitempty"`
	PGPSecret    []byte            `json:"pgp_secret,omitempty"`
}

// counts is what changes with a device's messages. It stands beside the record, so that it can change without it.
type counts struct {
	DeviceID string    `json:"device"`
	Failures int       `json:"failures,omitempty"`
	SeenAt   time.Time `json:"seen_at,omitzero"`
}

// seen is the id of a message that a device sent.
type seen struct {
	ID    string    `json:"-"`
	Until time.Time `json:"-"`
}

// handsetKey is the key of the hashes of handsets.
type handsetKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

func (s *Store) describe(sealer storage.Sealer) {
	s.devices = storage.Table[record]{
		Name: "handset", Version: 1, Sealer: sealer, ID: func(r *record) string { return r.ID },
		Expiry: func(r *record) time.Time { return r.expires() },
		Indexes: []storage.Index[record]{
			{Name: byHash, Values: func(r *record) []string { return notEmpty(r.Hash) }},
			{Name: byKey, Unique: true, Values: func(r *record) []string { return r.thumbprints() }},
			{Name: byServerKey, Unique: true, Values: func(r *record) []string { return notEmpty(r.ServerKeyID) }},
			{Name: byPlatform, Unique: true, Values: func(r *record) []string { return notEmpty(r.Attestation.KeyID) }},
			{Name: byPush, Unique: true, Values: func(r *record) []string { return notEmpty(r.Push.hash()) }},
		},
	}
	s.counts = storage.Table[counts]{Name: "handset_counts", Version: 1, ID: func(c *counts) string { return c.DeviceID }}
	s.rosters = storage.Table[roster]{Name: "handset_roster", Version: 1, ID: func(r *roster) string { return r.UserID }}
	s.seen = storage.Table[seen]{
		Name: "handset_seen", Version: 1, ID: func(m *seen) string { return m.ID }, Expiry: func(m *seen) time.Time { return m.Until },
	}
	s.history = storage.Table[Change]{
		Name: "handset_history", Version: 1, ID: (*Change).id, Expiry: func(c *Change) time.Time { return c.At.Add(KeepHistory) },
	}
	s.blocks = storage.Table[Block]{Name: "handset_block", Version: 1, ID: func(b *Block) string { return b.Hash }}
	s.handsets = storage.Table[handsetKey]{Name: "handset_key", Version: 1, Sealer: sealer, ID: func(k *handsetKey) string { return k.ID }}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	var s Store
	s.describe(sealer)
	return []storage.Kind{&s.devices, &s.counts, &s.rosters, &s.seen, &s.history, &s.blocks, &s.handsets}
}

func notEmpty(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// expires is when the record and what it reserves disappear: never while somebody may come back to it.
func (d *Device) expires() time.Time {
	switch d.Status {
	case Pending:
		return d.PendingUntil
	case Deactivated:
		return d.DeactivatedAt.Add(KeepDeactivated)
	}
	return time.Time{}
}

// hash is how an address is found without being readable: it is long and random where it is worth hiding.
func (p *Push) hash() string {
	if p == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(p.Service + "\n" + p.Address))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func toRecord(d Device) record {
	r := record{Device: d, ServerSecret: d.ServerKey, PGPSecret: d.PGPServerKey, Secrets: map[string][]byte{}}
	for _, f := range d.Factors {
		r.Secrets[f.Kind] = f.Secret
	}
	// Counted elsewhere.
	r.Failures, r.LastSeenAt = 0, time.Time{}
	return r
}

func (r *record) device() Device {
	d := r.Device
	d.ServerKey, d.PGPServerKey = r.ServerSecret, r.PGPSecret
	for i := range d.Factors {
		d.Factors[i].Secret = r.Secrets[d.Factors[i].Kind]
	}
	return d
}
