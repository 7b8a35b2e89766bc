// SPDX-License-Identifier: Apache-2.0

package pgstore

import "github.com/gatehouse-id/gatehouse/storage"

var _ storage.Prefetcher = (*tx)(nil)

// told returns what there is at a key as far as the transaction knows: what it is about to write, or else what it has read.
func (t *tx) told(key string) (item *storage.Item, ok bool) {
	if item, ok = t.writes[key]; !ok {
		item, ok = t.known[key]
	}
	return item, ok
}

// Follow reads what will be asked for and is not known yet, all in one round trip. Where nothing is presumed to be no way begins.
func (t *tx) Follow(ways []storage.Way, keys ...string) error {
	if err := t.usable(); err != nil {
		return err
	}
	var unread []string
	want := func(key string) {
		if _, told := t.told(key); !told {
			unread = append(unread, key)
		}
	}
	for _, key := range keys {
		want(key)
	}
	var unknown []storage.Way
	for _, way := range ways {
		_, presumed := t.presumed[way.Key]
		switch item, told := t.told(way.Key); {
		case !told && !presumed:
			unknown = append(unknown, way)
		case item != nil && item.Live(t.now):
			want(way.Prefix + string(item.Value))
		}
	}
	if len(unread)+len(unknown) == 0 {
		return nil
	}
	return t.fetch(unknown, unread...)
}

// fetch reads items, and those at both ends of ways of which the beginning is not known. What it does not find is known to be absent.
func (t *tx) fetch(ways []storage.Way, keys ...string) error {
	read, from, prefixes := bytesOf(keys), make([][]byte, 0, len(ways)), make([][]byte, 0, len(ways))
	for _, way := range ways {
		read, from, prefixes = append(read, []byte(way.Key)), append(from, []byte(way.Key)), append(prefixes, []byte(way.Prefix))
	}
	sql, args := t.db.sql.get, []any{read}
	if len(ways) > 0 {
		sql, args = t.db.sql.follow, append(args, from, prefixes, t.now.UnixMilli())
	}
	found, err := t.read(sql, args...)
	if err != nil {
		return err
	}
	for _, key := range read {
		t.known[string(key)] = nil
	}
	for i := range found {
		t.known[found[i].Key] = &found[i]
	}
	for _, way := range ways {
		item := t.known[way.Key]
		if item == nil || !item.Live(t.now) {
			continue // and nobody knows what would have been at its end
		}
		end := way.Prefix + string(item.Value)
		if _, read := t.known[end]; !read {
			t.known[end] = nil
		}
	}
	return t.learn(found)
}
