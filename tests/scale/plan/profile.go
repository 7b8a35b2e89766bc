// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// Profile is how people use a gateway. What is a day is of one user, on average over all of them.
type Profile struct {
	Users float64
	// Logins are made with a password, SignOns by going to another application in a browser that is logged in. Each ends in a code
	// exchange.
	Logins, SignOns float64
	// Refreshes, Calls of the gate, Introspections and Mints (client credentials) a day.
	Refreshes, Calls, Introspections, Mints float64
	// Revocations are logouts and tokens that apps give back.
	Revocations float64
	// Phones is the share of users who have one, and Operations what a phone is asked a day.
	Phones, Operations float64
	// New is the share of users who register on a day.
	New float64
	// Peak is how many times the average the busiest hour has.
	Peak float64
	// Apps is how many applications a user has grants of at once.
	Apps float64
}

// Usual is a service that people use every day: what the tables of docs/scale.md begin with.
func Usual(users float64) Profile {
	return Profile{
		Users: users, Logins: 0.3, SignOns: 1, Refreshes: 8, Calls: 100, Introspections: 1, Mints: 0.5, Revocations: 0.2,
		Phones: 0.3, Operations: 0.5, New: 0.0005, Peak: 3, Apps: 3,
	}
}

// Hardware is what it runs on. These are assumptions: none of them was measured.
type Hardware struct {
	// Cores is how many processors a node has, and Busy which part of them is used at the peak.
	Cores, Busy float64
	// Memory is that of a node, in bytes, of which the view of revocations may have a quarter.
	Memory float64
	// RTT is how long a round trip to the database takes by itself, and Serve how long the database works on it.
	RTT, Serve time.Duration
	// Commits is how many transactions a second one primary writes durably, and Trips how many statements it answers.
	Commits, Trips float64
	// WAL is how many bytes of write-ahead log a second one primary and its standby bear, and Disk how many bytes of store one server does.
	WAL, Disk float64
	// Connections is max_connections of the primary, and Pool the connections of a node.
	Connections, Pool float64
	// Checkpoint is the time between two checkpoints.
	Checkpoint time.Duration
}

// Common is a large server of its own for the database, with a synchronous standby beside it, and nodes of eight processors.
var Common = Hardware{
	Cores: 8, Busy: 0.5, Memory: 16e9, RTT: 500 * time.Microsecond, Serve: 200 * time.Microsecond, Commits: 10_000, Trips: 100_000, WAL: 100e6,
	Disk: 8e12, Connections: 500, Pool: 16, Checkpoint: 15 * time.Minute,
}

// Check refuses what cannot be.
func (p Profile) Check() error {
	for _, n := range []float64{p.Users, p.Logins, p.SignOns, p.Refreshes, p.Calls, p.Introspections, p.Mints, p.Revocations, p.Phones, p.Operations, p.New, p.Apps} {
		if !(n >= 0) || math.IsInf(n, 0) {
			return fmt.Errorf("%v of something a day", n)
		}
	}
	switch {
	case p.Users < 1:
		return errors.New("nobody uses it")
	case p.Peak < 1 || p.Peak > 24:
		return errors.New("the busiest hour has from 1 to 24 times the average")
	case p.Phones > 1 || p.New > 1:
		return errors.New("a share is at most 1")
	}
	return nil
}

// Check refuses what cannot be.
func (h Hardware) Check() error {
	for _, n := range []float64{
		h.Cores, h.Memory, h.RTT.Seconds(), h.Serve.Seconds(), h.Commits, h.Trips, h.WAL, h.Disk, h.Connections, h.Pool, h.Checkpoint.Seconds(),
	} {
		if !(n > 0) || math.IsInf(n, 0) {
			return fmt.Errorf("%v of something that it runs on", n)
		}
	}
	if !(h.Busy > 0 && h.Busy <= 1) {
		return errors.New("a part of the processors is used, and at most all of them")
	}
	return nil
}

// day returns how many requests of a kind there are in a day.
func (p Profile) day(kind Kind) float64 {
	switch kind {
	case Register:
		return p.Users * p.New
	case LoginPage, Login:
		return p.Users * p.Logins
	case SignOn:
		return p.Users * p.SignOns
	case Exchange:
		return p.Users * (p.Logins + p.SignOns)
	case Refresh:
		return p.Users * p.Refreshes
	case Revoke:
		return p.Users * p.Revocations
	case Ask, Answer:
		return p.Users * p.Phones * p.Operations
	case Introspect:
		return p.Users * p.Introspections
	case Call:
		return p.Users * p.Calls
	case Mint:
		return p.Users * p.Mints
	}
	return 0
}

// peak returns how many of them there are in a second of the busiest hour.
func (p Profile) peak(kind Kind) float64 { return p.Peak * p.day(kind) / (24 * 60 * 60) }

// sum adds up what requests cost in a second of the busiest hour.
func (p Profile) sum(c *Costs, cost func(Cost) float64) float64 {
	sum := 0.0
	for _, kind := range Kinds {
		sum += p.peak(kind) * cost(c.Requests[kind])
	}
	return sum
}

// lives is how long a record is in the store, by kind, by default. Everything stays for another hour. Those that are not listed stay for as
// long as their user.
var lives = map[string]time.Duration{
	"request": authz.RequestTTL, "code": authz.MaxAccessTTL, "session": session.DefaultLifetime, "session#subject": session.DefaultLifetime,
	"grant": month, "grant#subject": month, "family": month, "revocation": authz.RevocationTTL, "operation": 2 * month, "operation#user": 2 * month,
	"operation_desk": day, "operation_due": 2 * time.Minute, "handset_seen": 5 * time.Minute, "handset_history": handset.KeepHistory,
	"enrolment_code": 10 * time.Minute, "audit": audit.Keep, "audit#sub": audit.Keep, "audit#client": audit.Keep, "audit#device": audit.Keep,
	"audit#operation": audit.Keep, "audit_seal": audit.Keep + day, "audit_mark": time.Second,
}

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// standing is how many records of a kind stand there whatever was asked, of those that stay for as long as their user. Where a request was
// seen to write one it is the same one again.
func (p Profile) standing(kind string) (n float64, known bool) {
	switch kind {
	case "user", "user#login":
		return p.Users, true
	case "roster":
		return p.Users * p.Apps, true
	case "login_counter":
		return p.Users, true // one for each address that a user came from within thirty days, and most come from one
	case "handset", "handset_roster", "handset_counts":
		return p.Users * p.Phones, true
	case "handset#key":
		return 2 * p.Users * p.Phones, true
	}
	return 0, false
}

// looks are how often in a second a node reads the log of revocations, of which some read far back.
func looks(revocations float64) (all, wide float64) {
	often := 1 / revocation.Interval.Seconds()
	all = min(1/revocation.Floor.Seconds(), often+revocations)
	return all, min(all, 2*often)
}
