// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// ChannelStatus is how people are asked, and how that goes, on this node since it was started.
type ChannelStatus struct {
	Carriers []Carrier `json:"carriers"`
	// Open is how many questions and registrations are open now, on all nodes, by channel: push, sms, otp, registration.
	Open map[string]int `json:"open"`
	// MoreOpen says that there are more than were counted.
	MoreOpen    bool         `json:"more_open,omitempty"`
	Types       []TypeStatus `json:"types"`
	Conversions []Conversion `json:"conversions"`
	// Warnings are what an operator should look at.
	Warnings []string `json:"warnings"`
}

// Carrier is a push service or a gateway.
type Carrier struct {
	Channel string `json:"channel"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	// Tries are how often something was to be sent, by what came of it.
	Tries map[string]uint64 `json:"tries"`
	// Reports are what a gateway told of messages later: sent, delivered, failed.
	Reports map[string]uint64 `json:"reports,omitempty"`
	// MeanMilliseconds is how long what was accepted took; nineteen of twenty took at most MostMilliseconds, which is as coarse as
	// the metric is.
	MeanMilliseconds int64 `json:"mean_milliseconds,omitempty"`
	MostMilliseconds int64 `json:"p95_milliseconds,omitempty"`
}

// TypeStatus is a type with what it may fall back to.
type TypeStatus struct {
	Name   string   `json:"name"`
	Method string   `json:"method"`
	Chain  []string `json:"chain"`
	// TimeToLive and After are seconds; After is when a fallback takes over from a phone that does not fetch the question.
	TimeToLive int `json:"time_to_live"`
	After      int `json:"fallback_after,omitempty"`
}

// Conversion is how much of what was sent to a country was of use, in this hour and the one before, on all nodes.
type Conversion struct {
	Country string `json:"country"`
	Sent    int    `json:"sent"`
	Typed   int    `json:"typed"`
}

// ChannelStatus returns how it goes. It writes nothing, and asks no service.
func (p *Phones) ChannelStatus(ctx context.Context) (ChannelStatus, error) {
	c := &p.carriers
	s := ChannelStatus{Carriers: c.figures(), Types: []TypeStatus{}, Conversions: []Conversion{}, Warnings: c.types.Warnings()}
	for _, t := range c.types.All() {
		chain, err := c.types.Chain(t.Name)
		if err != nil {
			return s, err
		}
		status := TypeStatus{
			Name: t.Name, Method: strings.TrimSpace(string(t.Method) + " " + t.Custom), TimeToLive: int(t.TimeToLive / time.Second),
			After: int(t.After / time.Second),
		}
		for i := range chain {
			status.Chain = append(status.Chain, chain[i].Name)
		}
		s.Types = append(s.Types, status)
	}
	if s.Warnings == nil {
		s.Warnings = []string{}
	}
	if err := p.countOpen(ctx, &s); err != nil {
		return s, err
	}
	if c.budget == nil {
		return s, nil
	}
	conversions, err := c.budget.Conversions(ctx)
	for _, of := range conversions {
		s.Conversions = append(s.Conversions, Conversion(of))
		if text := suspicion(Conversion(of)); text != "" {
			s.Warnings = append(s.Warnings, text)
		}
	}
	return s, err
}

// openMost is how many operations are looked at to count those that are open.
const openMost = 10_000

// countOpen counts what is open. A channel on which nothing is stands there with 0.
func (p *Phones) countOpen(ctx context.Context, s *ChannelStatus) error {
	s.Open = map[string]int{string(operation.ByPush): 0, string(operation.BySMS): 0, string(operation.ByOTP): 0, string(operation.Registration): 0}
	by, more, err := p.operations.Open(ctx, openMost)
	if err != nil {
		return err
	}
	for channel, n := range by {
		s.Open[cmp.Or(string(channel), string(operation.Registration))] = n
	}
	s.MoreOpen = more
	return nil
}

// From so many messages on it says something that fewer than one code in five is typed in: people mistype, and leave, but not that often.
const (
	suspectFrom = 20
	suspectOne  = 5
)

func suspicion(c Conversion) string {
	if c.Sent < suspectFrom || c.Typed*suspectOne >= c.Sent {
		return ""
	}
	return fmt.Sprintf("sms: of %d messages to numbers of %s %d codes were typed in: somebody may earn from them; lower its limit, or take "+
		"the country out of sms_limits", c.Sent, c.Country, c.Typed)
}

// reported begins the outcomes that are reports.
const reported = "reported_"

// figures are those of the push services in the order of their names, and of the gateways in the order in which they are tried.
func (c *carriers) figures() []Carrier {
	all := []Carrier{}
	for _, name := range slices.Sorted(maps.Keys(c.guests.Push)) {
		all = append(all, figure(operation.ByPush, name, c.guests.Push[name]))
	}
	for _, g := range c.guests.SMS {
		all = append(all, figure(operation.BySMS, g.Name, g.Sender))
	}
	return all
}

func figure(channel operation.Channel, name string, guest any) Carrier {
	told := meter.Carried(string(channel), name)
	c := Carrier{
		Channel: string(channel), Name: name, Kind: kindOf(guest), Tries: map[string]uint64{}, Reports: map[string]uint64{},
		MeanMilliseconds: told.Mean.Milliseconds(), MostMilliseconds: told.Most.Milliseconds(),
	}
	for outcome, n := range told.Outcomes {
		if state, report := strings.CutPrefix(outcome, reported); report {
			c.Reports[state] = n
		} else {
			c.Tries[outcome] = n
		}
	}
	return c
}
