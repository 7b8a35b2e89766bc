// SPDX-License-Identifier: Apache-2.0

package passhash

import "fmt"

// Bounds on what one hash may cost to check. Each is several times what its kind is recommended with, and a few seconds of one
// processor.
const (
	MaxMemory       = 256 << 20 // bytes, of Argon2 and scrypt
	MaxArgon2Passes = 10
	MaxBcryptCost   = 15
	MaxIterations   = 5_000_000 // of PBKDF2, for every block of its key
	MaxRounds       = 1_000_000 // of SHA-crypt
)

// Bounds on what a hash is made of. A key of less than minKey bytes could be met by guessing.
const (
	maxText    = 512
	maxSalt    = 64
	minKey     = 16
	maxKey     = 64
	minRounds  = 1000 // of SHA-crypt, by its specification
	maxThreads = 64   // of Argon2
)

// limits are the bounds on cost as they are applied; tests have smaller ones.
type limits struct {
	memory     uint64
	passes     uint64
	bcryptCost uint64
	iterations uint64
	rounds     uint64
}

var defaultLimits = limits{MaxMemory, MaxArgon2Passes, MaxBcryptCost, MaxIterations, MaxRounds}

// cost is one thing that a hash takes, and how much of it may be taken.
type cost struct {
	what string
	is   uint64
	most uint64
}

// affordable returns [ErrCost] for the first cost beyond its bound.
func affordable(costs ...cost) error {
	for _, c := range costs {
		if c.is > c.most {
			return fmt.Errorf("%d %s, at most %d: %w", c.is, c.what, c.most, ErrCost)
		}
	}
	return nil
}
