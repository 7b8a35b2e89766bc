// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// Config describes how passwords are hashed (Argon2id).
type Config struct {
	// Memory in MiB. Default: 19.
	Memory int `json:"memory,omitempty"`
	// Passes over the memory. Default: 2.
	Iterations int `json:"iterations,omitempty"`
	// Threads of one hash. Default: 1.
	Parallelism int `json:"parallelism,omitempty"`
	// Hashes computed at once; more wait. Default: the number of processors.
	Concurrency int `json:"concurrency,omitempty"`
}

// Hasher returns what hashes new passwords, or an error about an option that would make too light a hash.
func (c *Config) Hasher() (*identity.Hasher, error) {
	params, err := c.params()
	if err != nil {
		return nil, fmt.Errorf("passwords: %w", err)
	}
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: params, Concurrent: c.Concurrency})
	if err != nil {
		return nil, fmt.Errorf("passwords: %w", err)
	}
	return hasher, nil
}

// params returns what new passwords are hashed with. Numbers that its fields could not hold are refused here, the others by
// the hasher.
func (c *Config) params() (identity.Params, error) {
	memory, iterations, threads := c.Memory, c.Iterations, c.Parallelism
	if memory < 0 || memory > math.MaxUint32>>10 || iterations < 0 || iterations > math.MaxUint32 || threads < 0 || threads > math.MaxUint8 {
		return identity.Params{}, errors.New("memory, iterations and parallelism are small positive numbers")
	}
	params := identity.Params{
		Memory:  cmp.Or(uint32(memory)<<10, identity.DefaultMemory),
		Time:    cmp.Or(uint32(iterations), identity.DefaultTime),
		Threads: cmp.Or(uint8(threads), identity.DefaultThreads),
	}
	if uint64(params.Memory)*uint64(params.Time) < leastWork {
		return identity.Params{}, errors.New("memory times iterations is at least 35 MiB, or a stolen store gives passwords away")
	}
	return params, nil
}

// leastWork is memory in KiB times passes of the lightest parameters that OWASP's Password Storage Cheat Sheet has.
const leastWork = 35 << 10

// Parse reads:
//
//	passwords {
//		memory      <MiB>
//		iterations  <n>
//		parallelism <n>
//		concurrency <n>
//	}
func (c *Config) Parse(d *caddyfile.Dispenser) error {
	return option.Block{Options: map[string]option.Parse{
		"memory":      option.Number(&c.Memory),
		"iterations":  option.Number(&c.Iterations),
		"parallelism": option.Number(&c.Parallelism),
		"concurrency": option.Number(&c.Concurrency),
	}}.Parse(d)
}
