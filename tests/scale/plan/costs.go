// SPDX-License-Identifier: Apache-2.0

package plan

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
)

// Costs are what was measured: by go run ./tests/bench -only costs, which writes them.
type Costs struct {
	// Source is the command, and Machine and Database where it ran.
	Source   string `json:"source"`
	Machine  string `json:"machine"`
	Database string `json:"database"`
	// Records is how many records of others the database had.
	Records int `json:"records"`
	// Requests are the costs of one request of each kind, and Idle those of a second of one node that is asked nothing and leads.
	Requests map[Kind]Cost `json:"requests"`
	Idle     Cost          `json:"idle"`
	// Rows are records by kind, as they are stored: a row and the entries of its indexes.
	Rows map[string]Row `json:"rows"`
	// Engine is what the database was seen to do at most, on that machine.
	Engine Engine `json:"engine"`
	// View is what a node's view of revocations costs.
	View View `json:"view"`
}

// Kind is a kind of request.
type Kind string

// Kinds of requests.
const (
	Register   Kind = "registration of a user and a phone"
	LoginPage  Kind = "login page"
	Login      Kind = "login"
	SignOn     Kind = "single sign-on"
	Exchange   Kind = "code exchange"
	Refresh    Kind = "refresh"
	Revoke     Kind = "revocation"
	Ask        Kind = "operation started"
	Answer     Kind = "operation approved"
	Introspect Kind = "introspection"
	Call       Kind = "protected request"
	Mint       Kind = "client credentials"
)

// Kinds are all of them, in the order in which they are shown.
var Kinds = []Kind{Register, LoginPage, Login, SignOn, Exchange, Refresh, Revoke, Ask, Answer, Introspect, Call, Mint}

// Cost is what one request costs, or a second.
type Cost struct {
	// Trips are waits for the database, Updates transactions that write, and Views those that only read.
	Trips   float64 `json:"trips"`
	Updates float64 `json:"updates"`
	Views   float64 `json:"views"`
	// Sent and Received are bytes between node and database, as the node sees it.
	Sent     float64 `json:"sent"`
	Received float64 `json:"received"`
	// WAL is bytes of the write-ahead log without images of pages, and WALFirst with one of every page: as it is for the first request
	// after a checkpoint.
	WAL      float64 `json:"wal"`
	WALFirst float64 `json:"wal_first,omitempty"`
	// Inserted, Updated, Hot (those of the updated that touch no index) and Deleted are rows, Entries those added to indexes.
	Inserted float64 `json:"inserted"`
	Updated  float64 `json:"updated"`
	Hot      float64 `json:"hot"`
	Deleted  float64 `json:"deleted"`
	Entries  float64 `json:"entries"`
	// Grown is how much table and indexes grew, in bytes, before anything is removed.
	Grown float64 `json:"grown"`
	// CPU is milliseconds of a processor of the node.
	CPU float64 `json:"cpu"`
	// Kept is how many records are there afterwards that were not before, by kind.
	Kept map[string]float64 `json:"kept,omitempty"`
}

// Row is a record as it is stored, on average.
type Row struct {
	Bytes float64 `json:"bytes"` // of the row
	Key   float64 `json:"key"`   // of them the key, which the index has again
}

// Engine is what the database did at most.
type Engine struct {
	Commits   float64 `json:"commits"`    // of one row, a second, by 32 connections
	Notices   float64 `json:"notices"`    // told, a second
	Swept     float64 `json:"swept"`      // expired records removed, a second
	SweptWAL  float64 `json:"swept_wal"`  // bytes for each
	Sealed    float64 `json:"sealed"`     // audit events a second, of one that seals
	SealTrips float64 `json:"seal_trips"` // for each event
}

// View is what a node's view of revocations costs.
type View struct {
	Entry float64 `json:"entry"` // bytes of an entry
	// Add is microseconds to add one to so many as Sizes says: it copies a part of them.
	Sizes []float64 `json:"sizes"`
	Add   []float64 `json:"add"`
}

//go:embed costs.json
var measured []byte

// Measured returns the costs that stand beside this file.
func Measured() (c Costs, err error) {
	if err := json.Unmarshal(measured, &c); err != nil {
		return c, fmt.Errorf("reading costs.json: %w", err)
	}
	return c, c.check()
}

// check refuses what the arithmetic could not go on with.
func (c *Costs) check() error {
	for _, kind := range Kinds {
		if _, ok := c.Requests[kind]; !ok {
			return fmt.Errorf("the costs of %q are missing", kind)
		}
	}
	if len(c.View.Sizes) < 2 || len(c.View.Sizes) != len(c.View.Add) || c.View.Entry <= 0 {
		return errors.New("the costs of the view of revocations are missing")
	}
	e := c.Engine
	if e.Commits <= 0 || e.Notices <= 0 || e.Swept <= 0 || e.Sealed <= 0 {
		return errors.New("what the database does at most is missing")
	}
	for _, kind := range Kinds {
		for row := range c.Requests[kind].Kept {
			if c.Rows[row].Bytes <= 0 {
				return fmt.Errorf("the size of a record %q is missing", row)
			}
		}
	}
	return nil
}
