// SPDX-License-Identifier: Apache-2.0

// Package limit owns a small limiter in memory: so many events of a key at once, then one each so often. It is bounded in
// keys and forgets the one that was quiet longest. It slows guessing on one node; what must hold across nodes or a restart
// is counted in the store.
package limit
