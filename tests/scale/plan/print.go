// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// table is one of Markdown's. The first column is text, and so is a last one with this head.
type table struct {
	out io.Writer
	err error
}

const then = "then"

func newTable(out io.Writer, head ...string) *table {
	t := &table{out: out}
	t.row(head...)
	last := "--:|"
	if head[len(head)-1] == then {
		last = "---|"
	}
	t.line("|---|" + strings.Repeat("--:|", len(head)-2) + last)
	return t
}

func (t *table) line(text string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.out, text)
	}
}

func (t *table) row(cells ...string) {
	t.line("| " + strings.Join(cells, " | ") + " |")
}

// Number writes a number with three digits, as 12.3 M.
func Number(n float64) string { return short(n, " ") }

// Bytes writes a number of bytes, as 12.3 MB.
func Bytes(n float64) string {
	if n < 999.5 {
		return short(n, " ") + " B"
	}
	return short(n, " ") + "B"
}

func short(n float64, gap string) string {
	if math.IsInf(n, 1) {
		return "never"
	}
	units := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for ; n >= 999.5 && i < len(units)-1; i++ {
		n /= 1000
	}
	text := fmt.Sprintf("%.0f", n)
	switch {
	case n == 0:
	case n < 0.0995:
		text = fmt.Sprintf("%.2g", n)
	case n < 9.95:
		text = strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0")
	}
	if i == 0 {
		return text
	}
	return text + gap + units[i]
}

// PrintCosts prints what one request of each kind costs.
func PrintCosts(out io.Writer, c *Costs) error {
	t := newTable(out, "one", "waits", "writing transactions", "reading", "bytes to the database", "and back", "WAL", "WAL right after a checkpoint",
		"rows inserted", "updated", "of them HOT", "index entries", "processor of the node")
	show := func(name string, c Cost) {
		n := func(v float64) string { return Number(math.Round(10*v) / 10) }
		first := "–"
		if c.WALFirst > 0 {
			first = Bytes(math.Round(c.WALFirst))
		}
		t.row(name, n(c.Trips), n(c.Updates), n(c.Views), Bytes(math.Round(c.Sent)), Bytes(math.Round(c.Received)), Bytes(math.Round(c.WAL)), first,
			n(c.Inserted), n(c.Updated), n(c.Hot), n(c.Entries), n(c.CPU)+" ms")
	}
	for _, kind := range Kinds {
		show(string(kind), c.Requests[kind])
	}
	show("second of a node that is asked nothing", c.Idle)
	return t.err
}

// line is one line of what plans come to.
type line struct {
	name  string
	value func(*Plan) string
}

func number(of func(*Plan) float64) func(*Plan) string {
	return func(p *Plan) string { return Number(of(p)) }
}

func bytes(of func(*Plan) float64) func(*Plan) string {
	return func(p *Plan) string { return Bytes(of(p)) }
}

// sizes are the lines of [PrintPlans] behind those of the requests.
func sizes(c *Costs) []line {
	return []line{
		{"processors that are busy", number(func(p *Plan) float64 { return p.Processors })},
		{"nodes, with one that may fail", number(func(p *Plan) float64 { return p.Nodes })},
		{"waits for the database a second", number(func(p *Plan) float64 { return p.Trips })},
		{"writing transactions a second", number(func(p *Plan) float64 { return p.Updates })},
		{"reading transactions a second", number(func(p *Plan) float64 { return p.Views })},
		{"to the database a second", bytes(func(p *Plan) float64 { return p.Sent })},
		{"from the database a second", bytes(func(p *Plan) float64 { return p.Received })},
		{"write-ahead log a second", bytes(func(p *Plan) float64 { return p.WAL })},
		{"dead rows a second, for vacuum", number(func(p *Plan) float64 { return p.Dead })},
		{"connections in use", number(func(p *Plan) float64 { return p.Busy })},
		{"connections open, without a pooler", number(func(p *Plan) float64 { return p.Open })},
		{"store", bytes(func(p *Plan) float64 { return p.Bytes })},
		{"audit trail, growth in a day", bytes(func(p *Plan) float64 { return p.Audit })},
		{"audit events a second", number(func(p *Plan) float64 { return p.Events })},
		{"records that expire a second, all day", number(func(p *Plan) float64 { return p.Expiring })},
		{"revocations that a node knows", number(func(p *Plan) float64 { return p.Entries })},
		{"memory for them, in each node", bytes(func(p *Plan) float64 { return p.ViewBytes })},
		{"processors for them, in each node", number(func(p *Plan) float64 { return p.ViewCPU })},
		{"their log read again, records a second, all nodes", number(func(p *Plan) float64 { return p.Reread })},
		{"notices told a second, all nodes", number(func(p *Plan) float64 { return p.Notices })},
		{"notices delivered a second", number(func(p *Plan) float64 { return p.Heard })},
		{"gateways that share nothing, at 70 % of what bounds them", number(func(p *Plan) float64 { return p.Gateways(c) })},
	}
}

// users is the head of tables of plans.
func users(plans []Plan, first string) []string {
	head := []string{first}
	for i := range plans {
		head = append(head, Number(plans[i].Profile.Users)+" users")
	}
	return head
}

// PrintPlans prints what plans come to, side by side.
func PrintPlans(out io.Writer, c *Costs, plans []Plan) error {
	t := newTable(out, users(plans, "in the busiest hour")...)
	for _, kind := range Kinds {
		t.each(plans, line{string(kind) + " a second", number(func(p *Plan) float64 { return p.Requests[kind] })})
	}
	for _, l := range sizes(c) {
		t.each(plans, l)
	}
	return t.err
}

func (t *table) each(plans []Plan, l line) {
	cells := []string{l.name}
	for i := range plans {
		cells = append(cells, l.value(&plans[i]))
	}
	t.row(cells...)
}

// shown is the share of the store from which on a kind of record has a line of its own.
const shown = 0.005

// PrintStore prints what the store has, by kind of record, the largest first, with indexes.
func PrintStore(out io.Writer, plans []Plan) error {
	t := newTable(out, users(plans, "record")...)
	last := &plans[len(plans)-1]
	kinds := slices.SortedFunc(maps.Keys(last.Store), func(a, b string) int {
		if last.Store[a] != last.Store[b] {
			return int(math.Copysign(1, last.Store[b]-last.Store[a]))
		}
		return strings.Compare(a, b)
	})
	var rest []string
	for _, kind := range kinds {
		if last.Store[kind] < shown*last.Bytes {
			rest = append(rest, kind)
			continue
		}
		t.each(plans, line{"`" + kind + "`", bytes(func(p *Plan) float64 { return p.Store[kind] })})
	}
	t.each(plans, line{fmt.Sprintf("%d smaller kinds", len(rest)), bytes(func(p *Plan) float64 {
		sum := 0.0
		for _, kind := range rest {
			sum += p.Store[kind]
		}
		return sum
	})})
	return t.err
}

// PrintLimits prints what gives way first, and when.
func PrintLimits(out io.Writer, c *Costs, plans []Plan) error {
	head := append([]string{"what", "used up at"}, users(plans, "")[1:]...)
	t := newTable(out, append(head, then)...)
	all := make([][]Limit, len(plans))
	for i := range plans {
		all[i] = plans[i].Limits(c)
	}
	for _, l := range all[0] {
		reached := Number(l.Reached) + " users"
		if math.IsInf(l.Reached, 1) {
			reached = "never"
		}
		cells := []string{l.Name, reached}
		for i := range plans {
			j := slices.IndexFunc(all[i], func(other Limit) bool { return other.Name == l.Name })
			cells = append(cells, percent(all[i][j].Used))
		}
		t.row(append(cells, l.Then)...)
	}
	return t.err
}

func percent(part float64) string {
	switch {
	case part >= 10:
		return "× " + Number(part)
	case part > 0 && part < 0.01:
		return "< 1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*part)
}
