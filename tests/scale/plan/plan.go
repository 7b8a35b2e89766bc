// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/revocation"
)

// Plan is what so many people ask for, in the busiest hour where it is of a second.
type Plan struct {
	Profile  Profile
	Hardware Hardware
	// Requests are those of a second, by kind.
	Requests map[Kind]float64
	// Processors are those that requests keep busy, and Nodes how many are needed for them, and one more.
	Processors, Nodes float64
	// Trips, Updates and Views are those of a second.
	Trips, Updates, Views float64
	// Sent, Received and WAL are bytes a second. Dead is how many versions of rows a second are left for vacuum.
	Sent, Received, WAL, Dead float64
	// Busy is how many connections are in use at once, on average, and Open how many the nodes have.
	Busy, Open float64
	// Store is what is kept, by kind of record, in bytes, and Records how many they are. Audit is what the trail grows by in a day.
	Store   map[string]float64
	Records map[string]float64
	Bytes   float64
	Audit   float64
	// Events are those of the audit trail in a second.
	Events float64
	// Expiring is how many records a second expire, over the day.
	Expiring float64
	// Entries are those of the view of revocations, ViewBytes what they take of each node, ViewCPU which part of a processor it takes to
	// keep it, and Reread how many records a second all nodes read from the log.
	Entries, ViewBytes, ViewCPU, Reread float64
	// Notices is how many a second are told, by all nodes, and Heard how many are delivered.
	Notices, Heard float64
}

// Make computes a plan.
func Make(c *Costs, p Profile, h Hardware) Plan {
	plan := Plan{Profile: p, Hardware: h, Requests: map[Kind]float64{}}
	for _, kind := range Kinds {
		plan.Requests[kind] = p.peak(kind)
	}
	plan.keep(c)
	plan.revoke(c)
	plan.Processors = p.sum(c, func(c Cost) float64 { return c.CPU }) / 1000
	plan.Nodes = max(2, math.Ceil(plan.Processors/(h.Cores*h.Busy))+1)
	plan.ask(c)
	plan.tell(c)
	return plan
}

// keep computes what is in the store.
func (p *Plan) keep(c *Costs) {
	p.Store, p.Records = map[string]float64{}, map[string]float64{}
	for _, kind := range Kinds {
		for row, n := range c.Requests[kind].Kept {
			life, passes := lives[row]
			if !passes {
				continue
			}
			flow := n * p.Profile.day(kind)
			if isAudit(row) {
				p.Audit += flow * size(c.Rows[row])
			}
			if row == "audit" {
				p.Events += n * p.Profile.peak(kind)
			}
			p.Records[row] += flow * (life + time.Hour).Hours() / 24
			p.Expiring += flow / (24 * 60 * 60)
		}
	}
	for row := range c.Rows {
		if n, stands := p.Profile.standing(row); stands {
			p.Records[row] = n
		}
	}
	for row, n := range p.Records {
		p.Store[row] = n * size(c.Rows[row])
		p.Bytes += p.Store[row]
	}
}

func isAudit(row string) bool { return len(row) >= 5 && row[:5] == "audit" }

// Parts of a page that are in use, in a table and in an index whose keys come in no order.
const (
	tableFill = 0.9
	indexFill = 0.69
	// entryHead is what an index adds to a key, and expiryEntry an entry of the index of what expires.
	entryHead, expiryEntry = 16, 20
)

// size is what a record takes, with its index entries.
func size(r Row) float64 { return r.Bytes/tableFill + (r.Key+entryHead+expiryEntry)/indexFill }

// revoke computes what the view of revocations costs.
func (p *Plan) revoke(c *Costs) {
	rate := 0.0
	for _, kind := range Kinds {
		n := c.Requests[kind].Kept["revocation"]
		rate += n * p.Profile.peak(kind)
		p.Entries += n * p.Profile.day(kind) * lives["revocation"].Hours() / 24
	}
	p.ViewBytes = p.Entries * c.View.Entry
	all, wide := looks(rate)
	far := 1 / revocation.FarEvery.Seconds()
	reread := rate * (far*revocation.Far.Seconds() + (wide-far)*revocation.Overlap.Seconds() + (all-wide)*revocation.Brief.Seconds())
	p.Reread = reread // of one node; times all of them below
	p.ViewCPU = (rate*c.View.add(p.Entries) + reread*rereadCPU) / 1e6
}

// rereadCPU is how many microseconds of a processor a record of the log takes that is read and known. It is an assumption.
const rereadCPU = 3

// add is how many microseconds it takes to add an entry to so many. It goes up with their number, since a 256th of them is copied.
func (v *View) add(entries float64) float64 {
	last := len(v.Sizes) - 1
	for i := 1; i <= last; i++ {
		if entries > v.Sizes[i] && i < last {
			continue
		}
		slope := max(0, (v.Add[i]-v.Add[i-1])/(v.Sizes[i]-v.Sizes[i-1]))
		return max(v.Add[0], v.Add[i-1]+slope*(entries-v.Sizes[i-1]))
	}
	return v.Add[last]
}

// ask computes what is asked of the database.
func (p *Plan) ask(c *Costs) {
	of := func(cost func(Cost) float64) float64 { return p.Profile.sum(c, cost) + p.Nodes*cost(c.Idle) }
	p.Reread *= p.Nodes
	pages := p.Reread / 256 // a reading takes so many at once
	p.Trips = of(func(c Cost) float64 { return c.Trips }) + pages
	p.Updates = of(func(c Cost) float64 { return c.Updates })
	p.Views = of(func(c Cost) float64 { return c.Views })
	p.Sent = of(func(c Cost) float64 { return c.Sent })
	p.Received = of(func(c Cost) float64 { return c.Received }) + p.Reread*c.Rows["revocation"].Bytes
	p.Dead = of(func(c Cost) float64 { return c.Updated + c.Deleted }) + p.Expiring
	wal := of(func(c Cost) float64 { return c.WAL }) + p.Expiring*c.Engine.SweptWAL
	images := of(func(c Cost) float64 { return max(0, c.WALFirst-c.WAL) })
	p.WAL = wal + images*p.fresh(c)
	p.Busy = p.Trips * (p.Hardware.RTT + p.Hardware.Serve).Seconds()
	p.Open = p.Nodes * (p.Hardware.Pool + 1)
}

// fresh is the share of pages that are written for the first time since a checkpoint: of so many pages, each as likely as the others.
func (p *Plan) fresh(c *Costs) float64 {
	pages := p.Bytes / 8192
	touched := p.Profile.sum(c, func(c Cost) float64 { return c.Inserted + c.Updated + c.Entries }) * p.Hardware.Checkpoint.Seconds()
	if touched == 0 || pages == 0 {
		return 0
	}
	return pages * -math.Expm1(-touched/pages) / touched
}

// gathered is how many notices a node tells in a second at most: it collects for five milliseconds.
const gathered = 200

// tell computes what nodes tell each other.
func (p *Plan) tell(c *Costs) {
	rate := (p.Profile.peak(Revoke) + p.Profile.peak(Ask) + p.Profile.peak(Answer)) / p.Nodes // what somebody watches
	p.Notices = p.Nodes * gathered * -math.Expm1(-rate/gathered)
	p.Heard = p.Notices * (p.Nodes - 1)
}

// Limit is something of which there is only so much.
type Limit struct {
	Name string
	// Used is the part that is used; above 1 it does not go on.
	Used float64
	// Reached is at how many users it is used up, with the same profile. Infinity is never.
	Reached float64
	// Then is what to do.
	Then string
	// Easy is one for which that costs nothing but a line of configuration.
	Easy bool
}

// limits are what may give way, and what then helps.
var limits = []struct {
	name string
	used func(*Plan, *Costs) float64
	then string
	easy bool
}{
	{"processors of a node that keep the view of revocations", func(p *Plan, _ *Costs) float64 { return p.ViewCPU / (p.Hardware.Cores * p.Hardware.Busy) },
		"fewer revocations: let tokens expire, do not give them back; several gateways", false},
	{"memory of a node for the view of revocations", func(p *Plan, _ *Costs) float64 { return 4 * p.ViewBytes / p.Hardware.Memory },
		"as above, or more memory", false},
	{"connections of the primary, without a pooler", func(p *Plan, _ *Costs) float64 { return p.Open / p.Hardware.Connections },
		"PgBouncer in transaction mode, or smaller pools", true},
	{"transactions of the primary that write", func(p *Plan, _ *Costs) float64 { return p.Updates / p.Hardware.Commits },
		"a quicker disk for the log; several gateways, or a database of several servers", false},
	{"statements of the primary", func(p *Plan, _ *Costs) float64 { return p.Trips / p.Hardware.Trips },
		"more processors; several gateways, or a database of several servers", false},
	{"write-ahead log of the primary", func(p *Plan, _ *Costs) float64 { return p.WAL / p.Hardware.WAL },
		"`wal_compression`; then as above", false},
	{"disk of one server", func(p *Plan, _ *Costs) float64 { return p.Bytes / p.Hardware.Disk },
		"the trail on a disk of its own; several gateways, or a database of several servers", false},
	{"sealing of the audit trail, by one node", func(p *Plan, c *Costs) float64 {
		return p.Events * (1/c.Engine.Sealed + c.Engine.SealTrips*p.Hardware.RTT.Seconds())
	}, "nodes next to the database; several gateways", false},
	{"removal of what has expired, by one node", func(p *Plan, c *Costs) float64 {
		return p.Expiring * (1/c.Engine.Swept + 2.0/500*p.Hardware.RTT.Seconds())
	}, "a quicker disk; several gateways", false},
	{"notices, which the database hands on one after the other", func(p *Plan, c *Costs) float64 { return p.Notices / c.Engine.Notices },
		"`notices off`: what others have done is seen within one or two seconds", true},
}

// Limits returns what of a plan is used, by when it is used up.
func (p *Plan) Limits(c *Costs) []Limit {
	found := make([]Limit, len(limits))
	for i, l := range limits {
		found[i] = Limit{Name: l.name, Used: l.used(p, c), Reached: reached(p, c, l.used), Then: l.then, Easy: l.easy}
	}
	slices.SortStableFunc(found, func(a, b Limit) int { return cmp.Compare(a.Reached, b.Reached) })
	return found
}

// reached looks for the number of users at which something is used up, between a thousand and ten to the thirteenth.
func reached(p *Plan, c *Costs, used func(*Plan, *Costs) float64) float64 {
	at := func(log float64) bool {
		profile := p.Profile
		profile.Users = math.Pow(10, log)
		plan := Make(c, profile, p.Hardware)
		return used(&plan, c) >= 1
	}
	low, high := 3.0, 13.0
	if !at(high) {
		return math.Inf(1)
	}
	for range 22 { // to five digits
		if middle := (low + high) / 2; at(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return math.Pow(10, high)
}

// full is the part of anything that is used as planned.
const full = 0.7

// Gateways is how many gateways that share nothing it takes, each with a database, nodes and an issuer of its own, so that none uses more
// of anything than is planned but of what is easy to be had.
func (p *Plan) Gateways(c *Costs) float64 {
	most := math.Inf(1)
	for _, l := range p.Limits(c) {
		if !l.Easy {
			most = min(most, full*l.Reached)
		}
	}
	return math.Ceil(max(1, p.Profile.Users/most))
}
