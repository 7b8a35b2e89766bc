// SPDX-License-Identifier: Apache-2.0

package badgerstore

import "sync"

// history knows which batches are visible, who still reads from before them, and which keys they wrote. Batches are
// numbered; the number is the version Badger keeps their items under, so a snapshot is the number of the last visible
// batch. A batch becomes visible when it is on disk, and a snapshot never waits for one that is not. Keys are forgotten,
// and versions given up, once no snapshot is older than the batch that replaced them.
type history struct {
	mu      sync.Mutex
	visible uint64         // the last visible batch
	readers map[uint64]int // transactions under way, by snapshot

	// Only the committer touches what follows.
	written map[string]uint64 // the last batch that wrote a key
	batches []batchKeys       // oldest first
}

type batchKeys struct {
	batch uint64
	keys  []string
}

func newHistory(visible uint64) *history {
	return &history{visible: visible, readers: make(map[uint64]int), written: make(map[string]uint64)}
}

// enter returns the snapshot for a transaction that begins.
func (h *history) enter() (snapshot uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers[h.visible]++
	return h.visible
}

// leave ends what enter began.
func (h *history) leave(snapshot uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[snapshot]--; h.readers[snapshot] == 0 {
		delete(h.readers, snapshot)
	}
}

// next returns the number of the batch that is being put together.
func (h *history) next() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.visible + 1
}

// changed returns a key among reads that was written since the snapshot, if there is one.
func (h *history) changed(reads []string, snapshot uint64) (key string, ok bool) {
	for _, key := range reads {
		if h.written[key] > snapshot {
			return key, true
		}
	}
	return "", false
}

// record says that a batch writes these keys. Updates later in the same batch are judged by it.
func (h *history) record(batch uint64, keys []string) {
	for _, key := range keys {
		h.written[key] = batch
	}
	h.batches = append(h.batches, batchKeys{batch, keys})
}

// publish makes a batch visible, forgets what no snapshot can miss, and returns the oldest snapshot in use.
func (h *history) publish(batch uint64) (oldest uint64) {
	h.mu.Lock()
	h.visible, oldest = batch, batch
	for snapshot := range h.readers {
		oldest = min(oldest, snapshot)
	}
	h.mu.Unlock()
	for len(h.batches) > 0 && h.batches[0].batch <= oldest {
		for _, key := range h.batches[0].keys {
			if h.written[key] == h.batches[0].batch {
				delete(h.written, key)
			}
		}
		h.batches = h.batches[1:]
	}
	return oldest
}
