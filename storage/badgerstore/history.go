// SPDX-License-Identifier: Apache-2.0

package badgerstore

import "sync"

// history knows which keys were written since a snapshot was taken. Snapshots are told apart by the epoch they began in:
// the number of the last batch that was visible then. Keys are forgotten once no snapshot is older than their batch.
type history struct {
	mu      sync.Mutex
	epoch   uint64         // of the last visible batch
	readers map[uint64]int // updates under way, by the epoch they began in

	// Only the committer touches what follows.
	written map[string]uint64 // the last batch that wrote a key
	batches []batchKeys       // oldest first
}

type batchKeys struct {
	epoch uint64
	keys  []string
}

func newHistory() *history {
	return &history{readers: make(map[uint64]int), written: make(map[string]uint64)}
}

// enter returns the epoch for an update that takes its snapshot afterwards. The snapshot may hold a later batch already;
// the update is then refused without need and runs again, never the other way round.
func (h *history) enter() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers[h.epoch]++
	return h.epoch
}

// leave ends what enter began.
func (h *history) leave(epoch uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[epoch]--; h.readers[epoch] == 0 {
		delete(h.readers, epoch)
	}
}

// next returns the epoch of the batch that is being put together.
func (h *history) next() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch + 1
}

// changed returns a key among reads that was written after epoch, if there is one.
func (h *history) changed(reads []string, epoch uint64) (key string, ok bool) {
	for _, key := range reads {
		if h.written[key] > epoch {
			return key, true
		}
	}
	return "", false
}

// record says that a batch writes these keys. Updates later in the same batch are judged by it.
func (h *history) record(epoch uint64, keys []string) {
	for _, key := range keys {
		h.written[key] = epoch
	}
	h.batches = append(h.batches, batchKeys{epoch, keys})
}

// publish makes a batch the last visible one and forgets what no snapshot can miss.
func (h *history) publish(epoch uint64) {
	h.mu.Lock()
	h.epoch = epoch
	oldest := epoch
	for begun := range h.readers {
		oldest = min(oldest, begun)
	}
	h.mu.Unlock()
	for len(h.batches) > 0 && h.batches[0].epoch <= oldest {
		for _, key := range h.batches[0].keys {
			if h.written[key] == h.batches[0].epoch {
				delete(h.written, key)
			}
		}
		h.batches = h.batches[1:]
	}
}
